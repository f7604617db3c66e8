//! A client without Tokio, for threads that run nothing else: real-time loops, plain programs.
//!
//! The calling thread itself sends, polls and sleeps; no other thread takes part, and after the first call nothing
//! is allocated for one whose arguments and result fit into 4 kB. One client makes one call at a time: give each
//! thread its own.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pycrust_client::blocking::RpcClient;
//!
//! # fn step() -> Result<(), pycrust_client::Error> {
//! let mut client = RpcClient::connect("arm")?;
//! let torque: f64 = client.call_with_timeout("torque", &(0.1, 0.2), Duration::from_millis(2))?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::control::put_request_head;
use pycrust_protocol::header::{TraceContext, flags};
use pycrust_protocol::name::EndpointName;
use pycrust_protocol::reserved::{HEALTH, Health};
use pycrust_transport::{Link, SendError, Waiter, monotonic_ns};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::buffers;
use crate::builder::{Builder, Options, WhenFull};
use crate::call::{self, Attempt, Failure, Finished, InFlight, Outgoing};
use crate::calls::{End, NoSlot};
use crate::client::{Call, FIRST_PAUSE, LONGEST_PAUSE, PROBE_TIMEOUT, decode, outgoing, reply, write};
use crate::connector::Connector;
use crate::driver;
use crate::error::Error;
use crate::metadata::MetadataValue;
use crate::reply::Reply;
use crate::retries::{MAX_CONNECTIONS, Retries, never_sent};
use crate::session::Session;

/// Time between two looks at what no descriptor announces.
const TICK: Duration = Duration::from_millis(50);

/// Calls the handlers of one endpoint from one thread; see the [module](self).
pub struct RpcClient {
    connector: Arc<Connector>,
    options: Options,
    /// Sleeps until the worker rings or hangs up.
    waiter: Waiter,
    session: Option<Arc<Session>>,
}

impl RpcClient {
    /// Connects to the worker that serves `name`.
    ///
    /// # Errors
    /// Those of [`Builder::connect`].
    pub fn connect(name: &str) -> Result<Self, Error> {
        Builder::new(name).connect_blocking()
    }

    pub(crate) fn connect_with(name: &str, options: Options) -> Result<Self, Error> {
        let name = EndpointName::new(name)
            .map_err(|error| Error::of_call(Code::InvalidArgument, "connect", error.to_string()))?;
        let waiter = Waiter::new().map_err(|error| {
            Error::of_call(Code::ResourceExhausted, "connect", format!("no descriptors are left: {error}"))
        })?;
        let connector = Connector::new(name, &options)?;
        let mut client = Self { connector, options, waiter, session: None };
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let patience = client.options.wait_for_worker;
            let limit = client.options.timeout.min(PROBE_TIMEOUT);
            let Err(error) = client.call_with_timeout::<_, Health>(HEALTH, &(), limit) else {
                return Ok(client);
            };
            let waited = begun.elapsed();
            if error.code() != Code::Unavailable || waited >= patience {
                return Err(error);
            }
            std::thread::sleep(pause.min(patience.saturating_sub(waited)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Calls a handler with the client's usual time limit.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn call<A, R>(&mut self, method: &str, args: &A) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with_timeout(method, args, self.options.timeout)
    }

    /// Like [`call`](Self::call), with a time limit of its own. [`Duration::MAX`] is no limit.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn call_with_timeout<A, R>(&mut self, method: &str, args: &A, timeout: Duration) -> Result<R, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let call = self.encode(&Call::new(method, timeout), args)?;
        let (finished, _) = self.make(call)?;
        let value = decode(method, &finished.body);
        buffers::give(finished.body.payload);
        value
    }

    /// A call with options.
    pub fn request<'a>(&'a mut self, method: &'a str) -> Request<'a> {
        let call = Call::new(method, self.options.timeout);
        Request { client: self, call }
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        self.connector.name().as_str()
    }

    /// Whether there is a connection right now. The next call makes one if there is not.
    pub fn is_connected(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.ended())
    }

    fn encode<'a, A: Serialize + ?Sized>(&self, call: &Call<'a>, args: &A) -> Result<Outgoing<'a>, Error> {
        let started_ns = monotonic_ns();
        let written = write(self.options.encoding, call.method, args);
        let mut outgoing = outgoing(call, written, self.options.when_full)?;
        outgoing.started_ns = started_ns;
        Ok(outgoing)
    }

    /// Makes a call, on as many connections as it takes and may. The answer, and when the call started.
    fn make(&mut self, mut call: Outgoing<'_>) -> Result<(Finished, u64), Error> {
        let mut retries = Retries::new(self.options.retry);
        let finished = loop {
            match self.attempt(&mut call) {
                Ok(finished) => break finished,
                Err(failure) => std::thread::sleep(retries.after(failure, &call)?),
            }
        };
        buffers::give(call.payload);
        if finished.status == Code::Ok {
            return Ok((finished, call.started_ns));
        }
        let error = Error::answered(finished.status, call.method, &finished.body.payload);
        buffers::give(finished.body.payload);
        Err(error)
    }

    /// Makes a call on the connection of the moment.
    fn attempt(&mut self, call: &mut Outgoing<'_>) -> Result<Finished, Failure> {
        let session = self.session(call.method)?;
        let mut guard = self.begin(&session, call)?;
        self.send(&session, call, &mut guard)?;
        let answer = match session.answer_inline(guard.id, true) {
            Some(answer) => answer,
            None => loop {
                if let Some(answer) = session.take_answer(guard.id, None) {
                    break answer;
                }
                if !self.sleep(&session, call) {
                    match session.take_answer(guard.id, None) {
                        Some(answer) => break answer,
                        None => return Err(Failure::Failed(call::expired(&session, call))),
                    }
                }
            },
        };
        guard.done = true;
        match answer {
            Ok(answer) => Ok(call::finish(&session, call.method, call.started_ns, guard.id, answer)),
            Err(End { code, reason }) => {
                Err(Failure::Lost(Error::of_call(code, call.method, &*reason).maybe_run()))
            }
        }
    }

    /// Sends a call that gets no answer.
    fn notify(&mut self, call: &mut Outgoing<'_>) -> Result<(), Failure> {
        let session = self.session(call.method)?;
        let mut guard = self.begin(&session, call)?;
        self.send(&session, call, &mut guard)?;
        // No answer will free the slot.
        guard.sent = false;
        Ok(())
    }

    /// The connection of the moment, made if there is none.
    fn session(&mut self, method: &str) -> Result<Arc<Session>, Failure> {
        if let Some(session) = &self.session {
            if !session.ended() {
                return Ok(Arc::clone(session));
            }
            self.waiter.remove(session.link.doorbell());
            self.waiter.remove(session.link.hangup_fd());
            self.session = None;
        }
        let session = self.connector.connect_blocking().map_err(|error| Failure::Failed(error.of(method)))?;
        for (descriptor, token) in [(session.link.doorbell(), 0), (session.link.hangup_fd(), 1)] {
            self.waiter.add(descriptor, token).map_err(|error| {
                let reason = format!("the connection can't be waited for: {error}");
                Failure::Failed(Error::of_call(Code::ResourceExhausted, method, reason))
            })?;
        }
        self.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Finds a slot. All can be taken only by calls that were given up and not yet answered.
    fn begin<'a>(&self, session: &'a Session, call: &Outgoing<'_>) -> Result<InFlight<'a>, Failure> {
        loop {
            let begun = session.calls.lock().begin(buffers::take());
            match begun {
                Ok(id) => return Ok(InFlight { session, id, sent: false, alone: true, done: false }),
                Err(NoSlot::Ended) => return Err(Failure::NotSent),
                Err(NoSlot::Full { limit, abandoned }) => {
                    let full = call::no_slot(limit, abandoned);
                    if call.when_full == WhenFull::Fail {
                        return Err(Failure::Failed(Error::of_call(
                            Code::ResourceExhausted,
                            call.method,
                            full,
                        )));
                    }
                    if !self.sleep(session, call) {
                        return Err(Failure::Failed(call.too_late(&full)));
                    }
                }
            }
        }
    }

    /// Sends the request, as soon as there is room for it.
    fn send(
        &self,
        session: &Session,
        call: &mut Outgoing<'_>,
        guard: &mut InFlight<'_>,
    ) -> Result<(), Failure> {
        let mut head = buffers::take();
        put_request_head(&mut head, guard.id, call.method, call.payload.len());
        loop {
            // From here on the worker may know of the call, also if sending panics.
            guard.sent = true;
            let error = match call::send_small(session, call, &head) {
                Ok(()) => {
                    buffers::give(head);
                    return Ok(());
                }
                Err(Attempt::Sending(error)) => error,
                Err(Attempt::Failure(failure)) => {
                    guard.sent = false;
                    return Err(failure);
                }
            };
            guard.sent = false;
            if !matches!(error, SendError::Full) {
                return Err(call::not_sent(session, call, &error));
            }
            if !self.sleep(session, call) {
                return Err(Failure::Failed(call.too_late(call::NO_ROOM)));
            }
        }
    }

    /// Sleeps until something may have come, receives it and looks at the connection. False once the call's time is
    /// over.
    fn sleep(&self, session: &Session, call: &Outgoing<'_>) -> bool {
        let left = left(call);
        if left.is_some_and(|left| left.is_zero()) {
            session.drain();
            return false;
        }
        // Announced when the turn to receive was last given back: what is published from then on rings.
        self.waiter.wait(Some(left.map_or(TICK, |left| left.min(TICK))));
        if session.link.ready() {
            session.drain();
        } else {
            driver::look_at_control(session);
        }
        true
    }
}

impl Drop for RpcClient {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.flush_reports();
            session.end(Code::Cancelled, "the client was dropped");
            session.drop_in_place();
        }
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient")
            .field("endpoint", &self.endpoint())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

/// Time that the call has left; `None` is no limit.
fn left(call: &Outgoing<'_>) -> Option<Duration> {
    call.expires_ns.map(|at| Duration::from_nanos(at.saturating_sub(monotonic_ns())))
}

/// A call with options; see [`RpcClient::request`].
#[derive(Debug)]
#[must_use = "a request does nothing before `send`"]
pub struct Request<'a> {
    client: &'a mut RpcClient,
    call: Call<'a>,
}

impl Request<'_> {
    /// The time that the call has, from [`send`](Self::send) on. [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = timeout;
        self
    }

    /// As in [`crate::Request::idempotent`].
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.call.set(flags::IDEMPOTENT, idempotent);
        self
    }

    /// As in [`crate::Request::latest`].
    pub fn latest(mut self, latest: bool) -> Self {
        self.call.set(flags::LATEST, latest);
        self
    }

    /// As in [`crate::Request::metadata`].
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<MetadataValue>) -> Self {
        self.call.metadata.insert(name.into(), value.into());
        self
    }

    /// As in [`crate::Request::schema`].
    pub fn schema(mut self, hash: u64) -> Self {
        self.call.schema_pin = hash;
        self
    }

    /// As in [`crate::Request::trace`].
    pub fn trace(mut self, context: TraceContext) -> Self {
        self.call.trace = context;
        self
    }

    /// Makes the call and waits for its answer.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn send<A, R>(self, args: &A) -> Result<Reply<R>, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let method = self.call.method;
        let call = self.client.encode(&self.call, args)?;
        let (finished, started_ns) = self.client.make(call)?;
        reply(method, &finished, started_ns)
    }

    /// As in [`crate::Request::notify`].
    ///
    /// # Errors
    /// Those of [`crate::Request::notify`].
    pub fn notify<A: Serialize + ?Sized>(mut self, args: &A) -> Result<(), Error> {
        self.call.set(flags::ONE_WAY, true);
        let mut call = self.client.encode(&self.call, args)?;
        for _ in 0..MAX_CONNECTIONS {
            match self.client.notify(&mut call) {
                Ok(()) => return Ok(()),
                Err(Failure::NotSent) => {}
                Err(Failure::Lost(error) | Failure::Failed(error)) => return Err(error),
            }
        }
        Err(never_sent(call.method))
    }
}
