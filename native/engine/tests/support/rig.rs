//! A binding without Python: a lock is the interpreter, closures are the handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pycrust_engine::{Argument, Change, Config, DispatchThread, Engine, Job, MethodRecording};
use pycrust_protocol::Code;
use pycrust_transport::AcceptorEvents;
use pycrust_transport::sync::{Mutex, MutexGuard};

use super::HANG;
use super::caller::Caller;
use super::link::MemoryLink;

pub type TestJob = Job<Handler, MemoryLink>;
pub type TestEngine = Engine<Handler, MemoryLink>;
type RunBatch = dyn Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>> + Send + Sync;
type Run = dyn Fn(&mut Running<'_>) -> (Code, Vec<u8>) + Send + Sync;

/// What a method of the tests does.
#[derive(Clone)]
pub enum Handler {
    /// Answers.
    Run(Arc<Run>),
    /// Streams the numbers below this one.
    Count(u64),
    /// Streams the arguments that come, each as it comes.
    Echo,
    /// Runs many calls at once: from all arguments to all answers.
    Batch(Arc<RunBatch>),
    /// Leaves its calls to the test.
    Later(Arc<Mutex<Vec<TestJob>>>),
}

/// A handler's view of its call.
pub struct Running<'a> {
    pub job: &'a TestJob,
    interpreter: &'static Mutex<()>,
    held: &'a mut Option<MutexGuard<'static, ()>>,
}

impl Running<'_> {
    /// Runs `body` with the interpreter released, as a sleep or a tensor operation does.
    pub fn detached<T>(&mut self, body: impl FnOnce() -> T) -> T {
        *self.held = None;
        let result = body();
        *self.held = Some(self.interpreter.lock());
        result
    }
}

/// A worker of a test.
pub struct Rig {
    pub engine: Arc<TestEngine>,
    /// The interpreter's lock.
    pub interpreter: &'static Mutex<()>,
    /// Threads that are waiting for the interpreter with a job in hand.
    pub attaching: Arc<AtomicUsize>,
    /// The most there ever were at once.
    pub most_attaching: Arc<AtomicUsize>,
    /// The arguments of calls that were rehearsed.
    pub rehearsed: Arc<Mutex<Vec<Vec<u8>>>>,
    connections: AtomicU64,
}

impl Rig {
    /// A serving worker with the default bounds.
    pub fn new() -> Self {
        let rig = Self::with(config());
        rig.engine.start().unwrap();
        rig
    }

    /// A worker that does not serve yet.
    pub fn with(config: Config) -> Self {
        /// Every one of them, so that none counts as lost.
        static KEPT: Mutex<Vec<&'static Mutex<()>>> = Mutex::new(Vec::new());
        // Never freed: dispatch threads that a test abandons may hold it to the end.
        let interpreter: &'static Mutex<()> = Box::leak(Box::default());
        KEPT.lock().push(interpreter);
        let attaching = Arc::new(AtomicUsize::new(0));
        let most_attaching = Arc::new(AtomicUsize::new(0));
        let rehearsed = Arc::new(Mutex::new(Vec::new()));
        let (now, most, kept) = (attaching.clone(), most_attaching.clone(), rehearsed.clone());
        let spawn = Box::new(move |engine: Arc<TestEngine>, thread: DispatchThread| {
            let (now, most, kept) = (now.clone(), most.clone(), kept.clone());
            std::thread::Builder::new()
                .name(format!("dispatch-{}", thread.number()))
                .spawn(move || dispatch(&engine, thread, interpreter, &now, &most, &kept))
                .unwrap();
        });
        Self {
            engine: Engine::new(config, spawn).unwrap(),
            interpreter,
            attaching,
            most_attaching,
            rehearsed,
            connections: AtomicU64::new(0),
        }
    }

    /// A new client with a window of 64 answers.
    pub fn connect(&self) -> Caller {
        self.connect_with(64)
    }

    /// A new client of whose answers `window` may lie unread.
    pub fn connect_with(&self, window: usize) -> Caller {
        let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let link = Arc::new(MemoryLink::new(id, window));
        self.engine.connected(link.clone());
        Caller::new(link)
    }

    pub fn disconnect(&self, caller: &Caller) {
        use pycrust_transport::Link;
        caller.link.close();
        self.engine.disconnected(caller.link.id(), "the test said so");
    }

    /// Publishes a method that runs one call at a time; gives its version.
    pub fn register(
        &self,
        method: &str,
        run: impl Fn(&mut Running<'_>) -> (Code, Vec<u8>) + Send + Sync + 'static,
    ) -> u32 {
        self.engine.publish(vec![register(method, 1, run)])[0]
    }

    /// Publishes `echo`, which answers with its arguments.
    pub fn register_echo(&self) {
        self.register("echo", |running| (Code::Ok, running.job.payload().to_vec()));
    }

    /// Stops and checks that nothing is left.
    pub fn finish(self) {
        assert!(self.engine.stop(HANG), "calls were left");
        self.check_empty();
    }

    /// Checks that a stopped engine holds nothing.
    pub fn check_empty(&self) {
        assert!(self.engine.join(HANG), "{} threads are left", self.engine.live_threads());
        assert_eq!(self.engine.in_flight(), 0);
        assert_eq!(self.engine.queued_bytes(), 0);
    }
}

/// The tests' defaults.
pub fn config() -> Config {
    Config { max_threads: 8, ..Config::new("test", 77) }
}

/// A registration without a schema.
pub fn register(
    method: &str,
    concurrency: usize,
    run: impl Fn(&mut Running<'_>) -> (Code, Vec<u8>) + Send + Sync + 'static,
) -> Change<Handler> {
    registration(method, concurrency, Handler::Run(Arc::new(run)))
}

/// A registration of a handler of any kind.
pub fn registration(method: &str, concurrency: usize, handler: Handler) -> Change<Handler> {
    Change::Register {
        method: method.into(),
        handler,
        concurrency,
        exclusive: false,
        refuses_late: false,
        batching: None,
        schema_hash: 0,
        schema_json: String::new(),
        compatible_schemas: Vec::new(),
        schema_changes: Vec::new(),
        doc: String::new(),
        recording: MethodRecording::default(),
    }
}

/// An answer that is a number.
pub fn number(value: u64) -> (Code, Vec<u8>) {
    (Code::Ok, value.to_le_bytes().to_vec())
}

/// What the binding's threads do.
fn dispatch(
    engine: &Arc<TestEngine>,
    mut thread: DispatchThread,
    interpreter: &'static Mutex<()>,
    attaching: &AtomicUsize,
    most: &AtomicUsize,
    rehearsed: &Mutex<Vec<Vec<u8>>>,
) {
    let mut kept: Option<(TestJob, Option<MutexGuard<'static, ()>>)> = None;
    loop {
        let (mut job, mut held) = match kept.take() {
            Some(kept) => kept,
            None => {
                let Some(job) = engine.next(&mut thread) else { return };
                most.fetch_max(attaching.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let held = Some(interpreter.lock());
                attaching.fetch_sub(1, Ordering::SeqCst);
                (job, held)
            }
        };
        job.attached();
        job.decoded();
        if job.rehearses() {
            rehearsed.lock().push(job.payload().to_vec());
            job.respond(Code::Ok, &[]);
            continue;
        }
        let handler = job.handler().clone();
        let (status, payload) = match handler {
            Handler::Run(run) => run(&mut Running { job: &job, interpreter, held: &mut held }),
            Handler::Count(below) => match count(job, below) {
                Some(ended) => {
                    job = ended;
                    (Code::Ok, Vec::new())
                }
                None => continue,
            },
            Handler::Echo => {
                job.begin_stream();
                drop(held);
                let arguments = job.arguments();
                let status = loop {
                    match arguments.wait(HANG) {
                        Argument::Item(item, _) => job.send_item(&item, Vec::new()),
                        Argument::End => break Code::Ok,
                        Argument::Cancelled => break Code::Cancelled,
                        Argument::Broken(_) | Argument::Later => break Code::InvalidArgument,
                        Argument::Full(_) => break Code::ResourceExhausted,
                    }
                };
                job.respond(status, &[]);
                continue;
            }
            Handler::Batch(run) => {
                let mut jobs = job.take_companions();
                jobs.insert(0, job);
                let answers = run(jobs.iter().map(|job| job.payload().to_vec()).collect());
                drop(held);
                for (job, answer) in jobs.into_iter().zip(answers) {
                    job.respond(Code::Ok, &answer);
                }
                continue;
            }
            Handler::Later(jobs) => {
                job.hand_off();
                jobs.lock().push(job);
                continue;
            }
        };
        job.ran();
        if TestJob::is_small(&payload) {
            kept = job.respond_and_go_on(&mut thread, status, &payload).map(|next| (next, held));
        } else {
            drop(held);
            job.respond(status, &payload);
        }
    }
}

/// Streams numbers as far as the caller takes them; gives the call back at its end.
fn count(mut job: TestJob, below: u64) -> Option<TestJob> {
    job.begin_stream();
    let mut next = job.take_state().map_or(0, |state| *state.downcast::<u64>().unwrap());
    while next < below && !job.cancelled() {
        if !job.ongoing().may_send() {
            job.suspend(Box::new(next));
            return None;
        }
        job.send_item(&next.to_le_bytes(), Vec::new());
        next += 1;
        if next.is_multiple_of(16) {
            job.give_way(Box::new(next));
            return None;
        }
    }
    Some(job)
}

/// A pause that is long against every handover, for handlers that are to be slow.
pub const SLOW: Duration = Duration::from_millis(20);
