//! Driving a generator: its items become the frames of a streamed answer.
//!
//! A generator holds its thread only while it makes items that its caller takes: between two of them, without
//! credit or after a turn, the call is suspended and goes on later, perhaps on another thread.

use std::any::Any;

use pycrust_protocol::Code;
use pycrust_protocol::limits::SMALL_SAMPLE_LEN;
use pyo3::prelude::*;

use crate::current::{Running, take_rooms};
use crate::dispatch::{PyJob, encoded};
use crate::failure::{self, Failing};
use crate::forked::leave_if_forked;

/// Items that are made before other calls have their turn.
const TURN: usize = 64;

/// The generator of a call that was suspended.
pub(crate) fn generator(py: Python<'_>, state: Box<dyn Any + Send>) -> Py<PyAny> {
    state.downcast::<Py<PyAny>>().map_or_else(|_| py.None(), |generator| *generator)
}

/// Makes items while the caller takes them. At its end the call is to be answered with a status and the
/// payload that was written; `None` if it goes on later.
pub(crate) fn run(
    py: Python<'_>,
    mut job: PyJob,
    generator: Py<PyAny>,
    traceback: bool,
    out: &mut Vec<u8>,
) -> Option<(PyJob, Code)> {
    job.begin_stream();
    let ongoing = job.ongoing();
    let items = match generator.bind(py).try_iter() {
        Ok(items) => items,
        Err(error) => {
            job.ran();
            let status = failure::result(py, &error, &[Failing::of(&job)], out);
            return Some((job, status));
        }
    };
    let handler = job.handler().clone_ref(py);
    for _ in 0..TURN {
        if job.cancelled() {
            close(py, &generator, &job);
            job.ran();
            out.extend_from_slice(&failure::cancelled());
            return Some((job, Code::Cancelled));
        }
        if !ongoing.may_send() {
            py.detach(|| job.suspend(Box::new(generator)));
            return None;
        }
        let made = {
            let _running = Running::new(py, &job);
            items.clone().next()
        };
        leave_if_forked(py, &job, made.as_ref().and_then(|item| item.as_ref().err()));
        let status = match made {
            None => Code::Ok,
            Some(Err(error)) => failure::raised(py, &error, traceback, &[Failing::of(&job)], out),
            Some(Ok(item)) => {
                out.clear();
                let encoded = encoded(handler.get(), item, out, take_rooms(), || ());
                leave_if_forked(py, &job, encoded.as_ref().err());
                match encoded {
                    Ok(attachments) => {
                        // The first large frame of a connection may wait for the peer.
                        if out.len() < SMALL_SAMPLE_LEN / 2 && attachments.is_empty() {
                            job.send_item(out, attachments);
                        } else {
                            py.detach(|| job.send_item(out, attachments));
                        }
                        continue;
                    }
                    Err(error) => {
                        close(py, &generator, &job);
                        failure::result(py, &error, &[Failing::of(&job)], out)
                    }
                }
            }
        };
        if status == Code::Ok {
            out.clear();
        }
        job.ran();
        return Some((job, status));
    }
    py.detach(|| job.give_way(Box::new(generator)));
    None
}

/// Ends a generator early: its `finally` blocks run.
fn close(py: Python<'_>, generator: &Py<PyAny>, job: &PyJob) {
    let _running = Running::new(py, job);
    let closed = generator.call_method0(py, pyo3::intern!(py, "close"));
    leave_if_forked(py, job, closed.as_ref().err());
    if let Err(error) = closed {
        error.write_unraisable(py, Some(generator.bind(py)));
    }
}
