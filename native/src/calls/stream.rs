//! Driving a generator: its items become the frames of a streamed answer.
//!
//! A generator holds its thread only while it makes items that its caller takes: between two of them, without
//! credit or after a turn, the call is suspended and goes on later, perhaps on another thread.

use std::any::Any;

use pycrust_protocol::Code;
use pycrust_protocol::limits::SMALL_SAMPLE_LEN;
use pyo3::prelude::*;

use crate::calls::context::Entered;
use crate::calls::current::{Running, take_rooms};
use crate::calls::failure::{self, Failing};
use crate::calls::forked::leave_if_forked;
use crate::calls::results::encoded;
use crate::calls::spans::{self, Span};
use crate::calls::types::PyJob;

/// Items that are made before other calls have their turn.
const TURN: usize = 64;

/// A generator with the context that its steps run in.
pub(crate) struct Streaming {
    generator: Py<PyAny>,
    context: Option<Py<PyAny>>,
    /// The span of its call.
    pub(crate) span: Option<Span>,
}

impl Streaming {
    pub(crate) fn new(generator: Bound<'_, PyAny>, entered: Option<&Entered<'_>>) -> Self {
        Self { generator: generator.unbind(), context: entered.map(Entered::context), span: None }
    }
}

/// What a call was suspended with.
pub(crate) fn resumed(py: Python<'_>, state: Box<dyn Any + Send>) -> Streaming {
    let nothing = |_| Streaming { generator: py.None(), context: None, span: None };
    state.downcast::<Streaming>().map_or_else(nothing, |streaming| *streaming)
}

/// What becomes of a generator that has had its turn.
enum Turn {
    /// The call is to be answered with this status.
    End(Code),
    /// The caller takes no more at the moment.
    Suspend,
    /// Other calls have their turn.
    GiveWay,
}

/// Makes items while the caller takes them. At its end the call is to be answered with a status and the
/// payload that was written; `None` if it goes on later.
pub(crate) fn run(
    py: Python<'_>,
    mut job: PyJob,
    streaming: Streaming,
    traceback: bool,
    out: &mut Vec<u8>,
) -> Option<(PyJob, Code)> {
    job.begin_stream();
    let turn = {
        // Left before another thread can go on with it.
        let _entered = Entered::again(py, streaming.context.as_ref());
        turn(py, &mut job, &streaming.generator, traceback, out)
    };
    match turn {
        Turn::End(status) => {
            job.ran();
            spans::end(py, streaming.span, &job, status);
            return Some((job, status));
        }
        Turn::Suspend => py.detach(|| job.suspend(Box::new(streaming))),
        Turn::GiveWay => py.detach(|| job.give_way(Box::new(streaming))),
    }
    None
}

fn turn(py: Python<'_>, job: &mut PyJob, generator: &Py<PyAny>, traceback: bool, out: &mut Vec<u8>) -> Turn {
    let ongoing = job.ongoing();
    let items = match generator.bind(py).try_iter() {
        Ok(items) => items,
        Err(error) => return Turn::End(failure::result(py, &error, &[Failing::of(job)], out)),
    };
    let handler = job.handler().clone_ref(py);
    for _ in 0..TURN {
        if job.cancelled() {
            close(py, generator, job);
            out.extend_from_slice(&failure::cancelled());
            return Turn::End(Code::Cancelled);
        }
        if !ongoing.may_send() {
            return Turn::Suspend;
        }
        let made = {
            let _running = Running::new(py, job);
            items.clone().next()
        };
        leave_if_forked(py, job, made.as_ref().and_then(|item| item.as_ref().err()));
        match made {
            None => {
                out.clear();
                return Turn::End(Code::Ok);
            }
            Some(Err(error)) => {
                return Turn::End(failure::raised(py, &error, traceback, &[Failing::of(job)], out));
            }
            Some(Ok(item)) => {
                out.clear();
                let encoded = encoded(handler.get().finished(item), out, take_rooms(), || ());
                leave_if_forked(py, job, encoded.as_ref().err());
                match encoded {
                    // The first large frame of a connection may wait for the peer.
                    Ok(attachments) if out.len() < SMALL_SAMPLE_LEN / 2 && attachments.is_empty() => {
                        job.send_item(out, attachments);
                    }
                    Ok(attachments) => py.detach(|| job.send_item(out, attachments)),
                    Err(error) => {
                        close(py, generator, job);
                        return Turn::End(failure::result(py, &error, &[Failing::of(job)], out));
                    }
                }
            }
        }
    }
    Turn::GiveWay
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
