//! What a dispatch thread does: ask for a call while detached, run it attached, answer.

use std::sync::Arc;

use pycrust_engine::{DispatchThread, Engine, Job};
use pycrust_protocol::Code;
use pycrust_transport::Connection;
use pyo3::prelude::*;

use crate::handler::Handler;
use crate::{decode, encode, failure};

pub(crate) type PyEngine = Engine<Py<Handler>, Connection>;
type PyJob = Job<Py<Handler>, Connection>;

/// Runs calls until the engine stops.
///
/// The thread attaches once for its life and detaches only to wait: attaching anew for every call
/// makes and destroys a Python thread state each time, which costs 17 µs.
pub(crate) fn run(engine: &Arc<PyEngine>, mut thread: DispatchThread, traceback: bool) {
    Python::attach(|py| {
        let mut payload = Vec::new();
        let mut answer: Option<(PyJob, Code)> = None;
        loop {
            let job = py.detach(|| {
                if let Some((job, status)) = answer.take() {
                    job.respond(status, &payload);
                }
                engine.next(&mut thread)
            });
            let Some(mut job) = job else { break };
            job.attached();
            payload.clear();
            let status = answer_to(py, &mut job, traceback, &mut payload);
            answer = Some((job, status));
        }
    });
}

/// Runs one call and leaves its answer's payload in `out`.
fn answer_to(py: Python<'_>, job: &mut PyJob, traceback: bool, out: &mut Vec<u8>) -> Code {
    let arguments = match decode::decode(py, job.payload()) {
        Ok(arguments) => arguments,
        Err(error) => {
            job.decoded();
            job.ran();
            return failure::arguments(py, &error.into(), out);
        }
    };
    let handler = job.handler().clone_ref(py);
    let handler = handler.get();
    let bound = match handler.bind(&arguments) {
        Ok(bound) => bound,
        Err(error) => {
            job.decoded();
            job.ran();
            return failure::arguments(py, &error, out);
        }
    };
    drop(arguments);
    job.decoded();
    let result = handler.call(&bound);
    job.ran();
    let result = match result {
        Ok(result) => result,
        Err(error) => return failure::raised(py, &error, traceback, out),
    };
    match handler.finish(result).and_then(|result| encode::encode(&result, out)) {
        Ok(()) => Code::Ok,
        Err(error) => failure::result(py, &error, out),
    }
}
