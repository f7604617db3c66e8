//! What a dispatch thread does: ask for a call while detached, run it attached, answer.

use std::sync::Arc;

use pycrust_engine::{DispatchThread, Engine, Job, Lent};
use pycrust_protocol::Code;
use pycrust_transport::Connection;
use pyo3::prelude::*;

use crate::arguments::Items;
use crate::batch::Answer;
use crate::current::{Places, Running};
use crate::handler::{Handler, Kind};
use crate::stream;
use crate::{batch, decode, encode, failure, scheduling};

pub(crate) type PyEngine = Engine<Py<Handler>, Connection>;
pub(crate) type PyJob = Job<Py<Handler>, Connection>;
pub(crate) type PyLent = Lent<Py<Handler>, Connection>;

/// What became of a call.
enum Outcome {
    /// It is to be answered with this status and the payload that was written.
    Answer(Code),
    /// It called a generator, which streams.
    Stream(Py<PyAny>),
}

/// Runs calls until the engine stops.
///
/// The thread attaches once for its life and detaches only to wait: attaching anew for every call
/// makes and destroys a Python thread state each time, which costs 17 µs.
pub(crate) fn run(engine: &Arc<PyEngine>, mut thread: DispatchThread, traceback: bool, places: &Places) {
    scheduling::be_punctual();
    Python::attach(|py| {
        if let Err(error) = places.enter(py) {
            // Its calls can't be interrupted then.
            error.write_unraisable(py, None);
        }
        let mut payload = Vec::new();
        let mut answer: Option<(PyJob, Code)> = None;
        let mut answers: Vec<Answer> = Vec::new();
        loop {
            let job = py.detach(|| {
                if let Some((job, status)) = answer.take() {
                    job.respond(status, &payload);
                }
                for (job, status, payload) in answers.drain(..) {
                    job.respond(status, &payload);
                }
                next(engine, &mut thread, traceback)
            });
            let Some(mut job) = job else { break };
            if job.handler().get().batches() {
                answers = batch::run(py, job, traceback);
                continue;
            }
            job.attached();
            payload.clear();
            let outcome = match job.take_state() {
                Some(state) => Outcome::Stream(stream::generator(py, state)),
                None => begin(py, &mut job, traceback, &mut payload),
            };
            answer = match outcome {
                Outcome::Answer(status) => Some((job, status)),
                Outcome::Stream(generator) => stream::run(py, job, generator, traceback, &mut payload),
            };
        }
    });
}

/// The next call for this thread. Calls of async handlers are left to their event loop on the way, without
/// the interpreter.
fn next(engine: &Arc<PyEngine>, thread: &mut DispatchThread, traceback: bool) -> Option<PyJob> {
    loop {
        let mut job = engine.next(thread)?;
        let Some(inbox) = job.handler().get().inbox().cloned() else { return Some(job) };
        job.hand_off();
        inbox.call(job, traceback);
    }
}

/// Runs one call, up to its result, which is left in `out`, or up to the generator that it made.
fn begin(py: Python<'_>, job: &mut PyJob, traceback: bool, out: &mut Vec<u8>) -> Outcome {
    let handler = job.handler().clone_ref(py);
    let bound = match bind(py, job, &handler) {
        Ok(bound) => bound,
        Err(error) => {
            job.decoded();
            job.ran();
            return Outcome::Answer(failure::arguments(py, &error, out));
        }
    };
    let handler = handler.get();
    job.decoded();
    let result = {
        let _running = Running::new(py, job);
        handler.call(&bound)
    };
    let generates = handler.kind() == Kind::Generator;
    if !generates {
        job.ran();
    }
    let result = match result {
        Ok(generator) if generates => return Outcome::Stream(generator.unbind()),
        Ok(result) => result,
        Err(error) => return Outcome::Answer(failure::raised(py, &error, traceback, out)),
    };
    Outcome::Answer(match handler.finished(result).and_then(|result| encode::encode(&result, out)) {
        Ok(()) => Code::Ok,
        Err(error) => failure::result(py, &error, out),
    })
}

fn bind<'py>(
    py: Python<'py>,
    job: &mut PyJob,
    handler: &Py<Handler>,
) -> PyResult<crate::handler::Bounded<'py>> {
    if let Some(reason) = handler.get().misfit(job.streams()) {
        return Err(failure::precondition(py, reason));
    }
    let arguments = decode::decode(py, job.payload())?;
    if !job.uploads() {
        return handler.get().bind(&arguments, None);
    }
    let items = Items::new(job.arguments(), handler.clone_ref(py));
    handler.get().bind(&arguments, Some(Bound::new(py, items)?.as_any()))
}
