//! A worker without Python: handlers that answer, stream, and take streams.

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pycrust_engine::{Argument, Change, Config, DispatchThread, Engine, Job, MethodRecording};
use pycrust_protocol::{Code, ErrorPayload};
use pycrust_transport::{Attachment, Link};

/// How long anything may take before it counts as hung.
pub const HANG: Duration = Duration::from_secs(30);

/// Items that `count` streams.
const ITEMS: u64 = 8;

/// What a method does.
#[derive(Clone)]
pub enum Handler {
    /// Answers with the arguments, the arrays among them.
    Echo,
    /// Answers with what was left here for it.
    Give(Arc<Mutex<Vec<u8>>>),
    /// Streams a few numbers as far as the caller takes them.
    Count,
    /// Streams the arguments that come, each as it comes.
    Upload,
}

/// A worker on links of this kind.
pub type Worker<L> = Engine<Handler, L>;

/// A worker that serves, once frames reach it. What is put into `given` is what `give` answers with.
pub fn worker<L: Link>(endpoint: &str, given: &Arc<Mutex<Vec<u8>>>) -> Arc<Worker<L>> {
    let spawn = Box::new(|engine: Arc<Worker<L>>, thread: DispatchThread| {
        std::thread::spawn(move || dispatch(&engine, thread));
    });
    // Nobody polls: other processes need the cores.
    let config = Config { max_threads: 8, spin: Some(Duration::ZERO), ..Config::new(endpoint, 77) };
    let engine = Engine::new(config, spawn).expect("an engine");
    let handlers = [
        ("echo", Handler::Echo),
        ("give", Handler::Give(Arc::clone(given))),
        ("count", Handler::Count),
        ("upload", Handler::Upload),
    ];
    let register = |(method, handler): (&str, Handler)| Change::Register {
        method: method.into(),
        handler,
        concurrency: 1,
        exclusive: false,
        refuses_late: false,
        batching: None,
        schema_hash: 5,
        schema_json: "{}".into(),
        compatible_schemas: Vec::new(),
        schema_changes: Vec::new(),
        doc: String::new(),
        recording: MethodRecording::default(),
    };
    engine.publish(handlers.map(register).into());
    engine.start().expect("threads");
    engine
}

fn dispatch<L: Link>(engine: &Arc<Worker<L>>, mut thread: DispatchThread) {
    while let Some(mut job) = engine.next(&mut thread) {
        job.attached();
        job.decoded();
        match job.handler().clone() {
            Handler::Echo => echo(job),
            Handler::Give(given) => {
                let payload = given.lock().unwrap_or_else(PoisonError::into_inner).clone();
                job.ran();
                job.respond(Code::Ok, &payload);
            }
            Handler::Count => count(job),
            Handler::Upload => upload(job),
        }
    }
}

fn echo<L: Link>(mut job: Job<Handler, L>) {
    let payload = job.payload().to_vec();
    let attachments = job.attachments().clone();
    let views: Vec<_> = (0..attachments.len()).filter_map(|number| attachments.get(number)).collect();
    for view in &views {
        // Every byte is there to be read.
        black_box(view.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    }
    job.ran();
    let attachments = views.into_iter().map(|view| Attachment::Source(Arc::new(view))).collect();
    job.respond_with(Code::Ok, &payload, attachments);
}

fn count<L: Link>(mut job: Job<Handler, L>) {
    job.begin_stream();
    let mut next = job.take_state().and_then(|state| state.downcast::<u64>().ok()).map_or(0, |state| *state);
    while next < ITEMS && !job.cancelled() {
        if !job.ongoing().may_send() {
            job.suspend(Box::new(next));
            return;
        }
        job.send_item(&[next as u8], Vec::new());
        next += 1;
    }
    job.ran();
    job.respond(Code::Ok, &[]);
}

fn upload<L: Link>(mut job: Job<Handler, L>) {
    job.begin_stream();
    let arguments = job.arguments();
    let status = loop {
        match arguments.wait(HANG) {
            Argument::Item(item, _) => job.send_item(&item, Vec::new()),
            Argument::End => break Code::Ok,
            Argument::Cancelled => break Code::Cancelled,
            _ => break Code::InvalidArgument,
        }
    };
    let payload = match status {
        Code::Ok => Vec::new(),
        _ => ErrorPayload::message("the arguments have broken off").encode(),
    };
    job.respond(status, &payload);
}

/// Waits until `done`, for what has no event of its own.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < HANG, "never happened: {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}
