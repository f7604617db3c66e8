//! The worker itself: what it serves, who is connected, and what runs.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pycrust_protocol::control::Request;
use pycrust_protocol::header::{Header, RequestHeader, flags};
use pycrust_protocol::reserved::{HEALTH, Health, METHODS, MethodInfo, READY, ready_arguments};
use pycrust_protocol::{Code, ErrorPayload};
use pycrust_transport::sync::Mutex;
use pycrust_transport::{CallProgress, Frame};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::call::{Call, Done, encode};
use super::handlers::Handler;
use crate::connection::pipe::{Inside, Pipe};
use crate::error::{Error, SCHEMA_MISMATCH};
use crate::raw::Raw;
use crate::schemas::Mismatch;

/// Names that are proposed for one that no method has.
const NEAR: usize = 3;

/// What a worker is to its clients and to its owner.
pub(crate) struct Core {
    pub(super) name: String,
    runtime: Handle,
    begun: Instant,
    /// Ends its thread.
    over: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    methods: BTreeMap<String, Entry>,
    /// Whether clients may connect.
    serves: bool,
    /// Its life, from 1.
    generation: u64,
    /// Connections so far.
    connections: u64,
    links: Vec<Weak<Pipe>>,
    /// Calls that are not answered, by connection and number.
    running: HashMap<(u64, u64), Running>,
}

/// What is known of a method, registered or not.
#[derive(Default)]
pub(super) struct Entry {
    handler: Option<Handler>,
    pub(super) expected: bool,
    version: u32,
    pub(super) schema_hash: u64,
    pub(super) schema: String,
    pub(super) delay: Duration,
    pub(super) failures: VecDeque<Error>,
    pub(super) calls: Vec<Raw>,
    pub(super) cancelled: usize,
}

struct Running {
    call: Arc<Call>,
    task: AbortHandle,
    started: bool,
}

impl Core {
    pub(super) fn start(name: &str) -> std::io::Result<Arc<Self>> {
        let over = Arc::new(Notify::new());
        let (told, made) = std::sync::mpsc::sync_channel(1);
        let ends = Arc::clone(&over);
        std::thread::Builder::new().name("pycrust-testing".into()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let _ = told
                .send(runtime.as_ref().map(|runtime| runtime.handle().clone()).map_err(std::io::Error::kind));
            if let Ok(runtime) = runtime {
                runtime.block_on(ends.notified());
                // A closure that is still at it is not waited for.
                runtime.shutdown_background();
            }
        })?;
        let runtime = made.recv().map_err(std::io::Error::other)??;
        let state = State { serves: true, generation: 1, ..State::default() };
        Ok(Arc::new(Self {
            name: name.into(),
            runtime,
            begun: Instant::now(),
            over,
            state: Mutex::new(state),
        }))
    }

    /// Changes what is known of a method, or looks at it.
    pub(super) fn entry<T>(&self, method: &str, look: impl FnOnce(&mut Entry) -> T) -> T {
        look(self.state.lock().methods.entry(method.to_owned()).or_default())
    }

    /// Registers a handler, or removes it.
    pub(super) fn publish(&self, method: &str, handler: Option<Handler>) {
        let before = self.entry(method, |entry| {
            entry.version += u32::from(handler.is_some());
            std::mem::replace(&mut entry.handler, handler)
        });
        // With it go a user's values, whose drop may call anything.
        drop(before);
    }

    /// Ends all connections, with a word or without; whether clients may come back.
    pub(super) fn hang_up(&self, goodbye: Option<&str>, serves: bool, again: bool) {
        let (links, running) = {
            let mut state = self.state.lock();
            state.serves = serves;
            state.generation += u64::from(again);
            (std::mem::take(&mut state.links), std::mem::take(&mut state.running))
        };
        running.into_values().for_each(Running::end);
        links.iter().filter_map(Weak::upgrade).for_each(|link| link.hang_up(goodbye));
    }

    /// It is over for good.
    pub(super) fn end(&self) {
        self.hang_up(Some("the worker of the test was dropped"), false, false);
        self.over.notify_one();
    }

    fn request(self: &Arc<Self>, link: &Arc<Pipe>, header: RequestHeader, frame: &Frame<'_>) {
        let Ok(parts) = header.common.split(frame.head()) else { return };
        let Ok(request) = Request::decode(parts.control) else { return };
        let Ok(ranges) = header.common.attachments_in(frame.head(), frame.sample_len()) else { return };
        let attachments = frame.attachments(ranges);
        let key = (link.id(), request.id);
        if header.continues() {
            if let Some(running) = self.state.lock().running.get(&key) {
                let ends = header.common.flags & flags::UPLOAD_END != 0;
                running.call.flow.put((!ends).then(|| (request.payload.to_vec(), attachments)));
            }
            return;
        }
        let superseded = if header.common.flags & flags::LATEST == 0 {
            Vec::new()
        } else {
            self.superseded(link, request.method)
        };
        for running in superseded {
            let call = Arc::clone(&running.call);
            running.end();
            let reason = format!("a newer call of {:?} took the place of this one in the queue", call.method);
            call.respond(Err(Error::new(Code::Aborted, reason)));
        }
        let call = |method: &str, payload: &[u8]| {
            Call::new(link, request.id, method, payload.to_vec(), attachments, header)
        };
        match request.method {
            // The method is run, as by any call, and its answer is the answer.
            READY => match ready_arguments(request.payload) {
                Ok((method, payload)) => self.begin(call(method, payload)),
                Err(error) => {
                    call(READY, &[]).respond(Err(Error::new(Code::InvalidArgument, error.to_string())));
                }
            },
            method => self.begin(call(method, request.payload)),
        }
    }

    /// Calls that a newer one takes the place of.
    fn superseded(&self, link: &Pipe, method: &str) -> Vec<Running> {
        let mut state = self.state.lock();
        let older = |((connection, _), running): (&(u64, u64), &Running)| {
            *connection == link.id()
                && !running.started
                && running.call.method == method
                && running.call.flags & flags::LATEST != 0
        };
        let keys: Vec<_> = state
            .running
            .iter()
            .filter(|(key, running)| older((key, running)))
            .map(|(key, _)| *key)
            .collect();
        keys.iter().filter_map(|key| state.running.remove(key)).collect()
    }

    fn begin(self: &Arc<Self>, mut call: Call) {
        let own = match call.method.as_str() {
            HEALTH => Some(encode(&self.health())),
            METHODS => Some(encode(&self.methods())),
            _ => None,
        };
        if let Some(answer) = own {
            return call.respond(answer.map(Done::Value));
        }
        let mut state = self.state.lock();
        let (handler, delay) = match self.admit(&state, &mut call) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                drop(state);
                return call.respond(Err(refusal));
            }
        };
        call.link.note(call.id, Some(CallProgress::Queued));
        let call = Arc::new(call);
        // Under the lock: the task, which may end at once, finds its place.
        let task = self.runtime.spawn(Arc::clone(self).run(Arc::clone(&call), handler, delay)).abort_handle();
        state.running.insert(call.key(), Running { call, task, started: false });
    }

    /// The handler of a call, and how long that waits first.
    fn admit(&self, state: &State, call: &mut Call) -> Result<(Handler, Duration), Error> {
        let entry = state.methods.get(&call.method);
        let Some((entry, handler)) = entry.and_then(|entry| Some((entry, entry.handler.as_ref()?))) else {
            return Err(self.missing(state, &call.method, entry.is_some_and(|entry| entry.expected)));
        };
        (call.version, call.schema_hash) = (entry.version, entry.schema_hash);
        if call.schema_pin != 0 && entry.schema_hash != 0 && call.schema_pin != entry.schema_hash {
            return Err(other_schema(call));
        }
        Ok((Arc::clone(handler), entry.delay))
    }

    /// Runs a call, within its time.
    async fn run(self: Arc<Self>, call: Arc<Call>, handler: Handler, delay: Duration) {
        let work = async {
            if delay > Duration::ZERO {
                tokio::time::sleep(delay).await;
            }
            let arguments = call.arguments_as_they_are();
            let failure = {
                let mut state = self.state.lock();
                if let Some(running) = state.running.get_mut(&call.key()) {
                    running.started = true;
                }
                let entry = state.methods.entry(call.method.clone()).or_default();
                entry.calls.push(arguments);
                entry.failures.pop_front()
            };
            call.link.note(call.id, Some(CallProgress::Runs));
            match failure {
                Some(failure) => Err(failure),
                None => handler(Arc::clone(&call)).await,
            }
        };
        let outcome = match call.deadline {
            None => Ok(work.await),
            Some(at) => tokio::time::timeout_at(at.into(), work).await,
        };
        let Some(running) = self.state.lock().running.remove(&call.key()) else { return };
        let outcome = outcome.unwrap_or_else(|_| {
            call.flow.cancel();
            self.entry(&call.method, |entry| entry.cancelled += 1);
            let reason = format!("the time of the call of {:?} is over", call.method);
            let error = Error::new(Code::DeadlineExceeded, reason);
            Err(if running.started { error.maybe_run() } else { error })
        });
        call.respond(outcome);
    }

    fn missing(&self, state: &State, method: &str, expected: bool) -> Error {
        if expected {
            let reason = format!(
                "{method:?} is expected on {:?} but not registered yet; try again when its cell has run",
                self.name
            );
            return Error::new(Code::Unavailable, reason);
        }
        let registered = state.methods.iter().filter(|(_, entry)| entry.handler.is_some());
        let mut near: Vec<_> = registered
            .map(|(name, _)| (strsim::osa_distance(method, name), name))
            .filter(|(distance, name)| *distance <= name.len().max(method.len()).div_ceil(3))
            .collect();
        near.sort_unstable();
        let near: Vec<_> = near.into_iter().take(NEAR).map(|(_, name)| format!("{name:?}")).collect();
        let message = format!("{:?} has no method {method:?}", self.name);
        let message = match near.split_last() {
            None => format!("{message}; pycrust.methods lists what it has"),
            Some((only, [])) => format!("{message}; did you mean {only}?"),
            Some((last, others)) => format!("{message}; did you mean {} or {last}?", others.join(", ")),
        };
        Error::new(Code::Unimplemented, message)
    }

    fn health(&self) -> Health {
        Health {
            status: "serving".into(),
            endpoint: self.name.clone(),
            pid: std::process::id(),
            generation: self.state.lock().generation,
            uptime_ns: self.begun.elapsed().as_nanos() as u64,
            waiting_ns: 0,
        }
    }

    fn methods(&self) -> Vec<MethodInfo> {
        let state = self.state.lock();
        let registered = state.methods.iter().filter(|(_, entry)| entry.handler.is_some());
        let described = registered.map(|(name, entry)| MethodInfo {
            name: name.clone(),
            version: entry.version,
            schema_hash: entry.schema_hash,
            doc: String::new(),
            schema: if entry.schema.is_empty() { "{}".into() } else { entry.schema.clone() },
        });
        described.collect()
    }
}

impl Running {
    /// Nobody wants its answer any more.
    fn end(self) {
        self.call.flow.cancel();
        self.call.link.note(self.call.id, None);
        self.task.abort();
    }
}

/// The refusal of a call that was built against another schema.
fn other_schema(call: &Call) -> Error {
    let (pinned, live, version) = (call.schema_pin, call.schema_hash, call.version);
    let mismatch = Mismatch { method: call.method.clone(), pinned, live, version, changes: Vec::new() };
    let message = format!(
        "the caller was built against schema {pinned:#018x} of {:?}, version {version} has schema {live:#018x}; \
         generate the client again",
        call.method
    );
    let payload = ErrorPayload {
        exception: SCHEMA_MISMATCH.into(),
        details: rmp_serde::to_vec_named(&mismatch).unwrap_or_default(),
        ..ErrorPayload::message(message)
    };
    Error::from_parts(Code::FailedPrecondition, "", payload)
}

impl Inside for Core {
    fn connect(self: Arc<Self>) -> Result<Arc<Pipe>, Error> {
        let mut state = self.state.lock();
        if !state.serves {
            let reason = format!("nobody serves {:?}: the worker of the test is stopped", self.name);
            return Err(Error::of_call(Code::Unavailable, "connect", reason));
        }
        state.connections += 1;
        let pipe =
            Pipe::new(Arc::<Self>::clone(&self), state.generation, state.connections).map_err(|error| {
                Error::of_call(
                    Code::ResourceExhausted,
                    "connect",
                    format!("there are no descriptors left: {error}"),
                )
            })?;
        let pipe = Arc::new(pipe);
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&pipe));
        Ok(pipe)
    }

    fn take(self: Arc<Self>, link: &Arc<Pipe>, frame: &Frame<'_>) {
        match Header::decode(frame.header()) {
            Ok(Header::Request(header)) => self.request(link, header, frame),
            Ok(Header::Credit(credit)) => {
                if let Some(running) = self.state.lock().running.get(&(link.id(), credit.id)) {
                    running.call.flow.grant(credit.granted, credit.bytes);
                }
            }
            // Round trips that the client measured.
            _ => {}
        }
    }

    fn cancel(&self, link: &Pipe, id: u64) {
        let Some(running) = self.state.lock().running.remove(&(link.id(), id)) else { return };
        let call = Arc::clone(&running.call);
        self.entry(&call.method, |entry| entry.cancelled += 1);
        let started = running.started;
        running.end();
        let reason = if started { "was cancelled" } else { "was cancelled before it was started" };
        let error = Error::new(Code::Cancelled, format!("the call of {:?} {reason}", call.method));
        call.respond(Err(if started { error.maybe_run() } else { error }));
    }

    fn closed(&self, connection: u64) {
        let gone: Vec<_> = {
            let mut state = self.state.lock();
            let keys: Vec<_> = state.running.keys().filter(|(of, _)| *of == connection).copied().collect();
            keys.iter().filter_map(|key| state.running.remove(key)).collect()
        };
        for running in gone {
            self.entry(&running.call.method, |entry| entry.cancelled += 1);
            running.end();
        }
    }
}
