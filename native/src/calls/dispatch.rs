//! What a dispatch thread does: ask for a call while detached, run it attached, answer.

use std::sync::Arc;

use pycrust_engine::DispatchThread;
use pycrust_protocol::Code;
use pycrust_transport::Attachment;
use pyo3::prelude::*;

use crate::attaching::attach;
use crate::calls::arguments::Items;
use crate::calls::batch::Answer;
use crate::calls::collecting::{self, Spared};
use crate::calls::context::{BaseContext, Entered};
use crate::calls::current::{Places, Running, take_rooms};
use crate::calls::failure::Failing;
use crate::calls::forked::leave_if_forked;
use crate::calls::handler::Handler;
use crate::calls::kind::Kind;
use crate::calls::results::encoded;
use crate::calls::spans;
use crate::calls::stream::{self, Streaming};
use crate::calls::types::{PyEngine, PyJob};
use crate::calls::{batch, errors, failure};
use crate::realtime::RealTimeProfile;
use crate::scheduling;
use crate::values::decode;

/// What became of a call.
enum Outcome {
    /// It is to be answered with this status, the payload that was written, and its arrays.
    Answer(Code, Vec<Attachment>),
    /// It called a generator, which streams.
    Stream(Streaming),
}

/// Runs calls until the engine stops.
///
/// The thread attaches at its first call, once for its life, and detaches only to wait: attaching anew for every call
/// makes and destroys a Python thread state each time, which costs 17 µs. Not before: whoever holds the interpreter while
/// it is young must not keep it from receiving, and from what is answered without the interpreter.
/// Each call runs in a copy of `base`, on a thread that has what `profile` asks for.
pub(crate) fn run(
    engine: &Arc<PyEngine>,
    mut thread: DispatchThread,
    traceback: bool,
    places: &Places,
    base: &BaseContext,
    profile: Option<&RealTimeProfile>,
) {
    scheduling::be_punctual();
    let _entered = profile.map(RealTimeProfile::entered);
    let collects = profile.filter(|profile| profile.collects);
    if collects.is_some() {
        collecting::spare_calls();
    }
    let number = thread.number();
    // The next call, while this thread still has the interpreter, or has never had it.
    let mut going_on = next(engine, &mut thread, traceback, None);
    if going_on.is_none() {
        return;
    }
    attach(|py| {
        if let Err(error) = places.enter(py, number) {
            // Its calls can't be interrupted then.
            error.write_unraisable(py, None);
        }
        let mut payload = Vec::new();
        let mut answer: Option<(PyJob, Code, Vec<Attachment>)> = None;
        let mut answers: Vec<Answer> = Vec::new();
        loop {
            // Looked at once a call: whatever comes of it, the next call is waited for then.
            let due = collects.and_then(|profile| collecting::due(py, profile));
            let ready = match going_on.take() {
                Some(job) if job.handler().get().inbox().is_none() => Some(Some(job)),
                going_on => py.detach(|| {
                    if let Some((job, status, attachments)) = answer.take() {
                        job.respond_with(status, &payload, attachments);
                    }
                    for (job, status, payload, attachments) in answers.drain(..) {
                        job.respond_with(status, &payload, attachments);
                    }
                    if due.is_some_and(|due| due.is_now(engine.in_flight())) {
                        return None;
                    }
                    Some(next(engine, &mut thread, traceback, going_on))
                }),
            };
            let job = match ready {
                Some(job) => job,
                None => {
                    if let (Some(due), Some(profile)) = (due, collects) {
                        collecting::collect(py, due, profile);
                    }
                    py.detach(|| next(engine, &mut thread, traceback, None))
                }
            };
            let Some(mut job) = job else { break };
            if job.rehearses() {
                job.attached();
                payload.clear();
                rehearse(py, &mut job, &mut payload, base);
                answer = Some((job, Code::Ok, Vec::new()));
                continue;
            }
            if job.handler().get().batches() {
                let _spared = Spared::new(py);
                let _entered = base.enter(py);
                answers = batch::run(py, job, traceback);
                continue;
            }
            job.attached();
            payload.clear();
            let outcome = match job.take_state() {
                Some(state) => Outcome::Stream(stream::resumed(py, state)),
                None => begin(py, &mut job, traceback, &mut payload, base),
            };
            answer = match outcome {
                // What is due is done detached, between two calls.
                Outcome::Answer(status, attachments)
                    if attachments.is_empty() && collects.is_none() && PyJob::is_small(&payload) =>
                {
                    going_on = job.respond_and_go_on(&mut thread, status, &payload);
                    None
                }
                Outcome::Answer(status, attachments) => Some((job, status, attachments)),
                Outcome::Stream(streaming) => stream::run(py, job, streaming, traceback, &mut payload)
                    .map(|(job, status)| (job, status, Vec::new())),
            };
        }
        if let Err(error) = Places::leave(py) {
            error.write_unraisable(py, None);
        }
    });
}

/// The next call for this thread, which may have come already. Calls of async handlers are left to their event loop on the
/// way, without the interpreter.
fn next(
    engine: &Arc<PyEngine>,
    thread: &mut DispatchThread,
    traceback: bool,
    mut come: Option<PyJob>,
) -> Option<PyJob> {
    loop {
        let mut job = match come.take() {
            Some(job) => job,
            None => engine.next(thread)?,
        };
        if job.rehearses() {
            return Some(job);
        }
        let Some(inbox) = job.handler().get().inbox().cloned() else { return Some(job) };
        job.hand_off();
        inbox.call(job, traceback);
    }
}

/// Runs one call, up to its result, which is left in `out`, or up to the generator that it made.
fn begin(py: Python<'_>, job: &mut PyJob, traceback: bool, out: &mut Vec<u8>, base: &BaseContext) -> Outcome {
    let _spared = Spared::new(py);
    let entered = base.enter(py);
    let span = spans::begin(py, job, true);
    let mut outcome = begin_in(py, job, traceback, out, entered.as_ref());
    match &mut outcome {
        Outcome::Answer(status, _) => spans::end(py, span, job, *status),
        Outcome::Stream(streaming) => streaming.span = span,
    }
    outcome
}

/// The same, in the context of the call.
fn begin_in(
    py: Python<'_>,
    job: &mut PyJob,
    traceback: bool,
    out: &mut Vec<u8>,
    entered: Option<&Entered<'_>>,
) -> Outcome {
    let handler = job.handler().clone_ref(py);
    let bound = bind(py, job, &handler);
    leave_if_forked(py, job, bound.as_ref().err());
    let bound = match bound {
        Ok(bound) => bound,
        Err(error) => {
            job.decoded();
            job.ran();
            return Outcome::Answer(failure::arguments(py, &error, &Failing::of(job), out), Vec::new());
        }
    };
    let handler = handler.get();
    job.decoded();
    let result = {
        let _running = Running::new(py, job);
        handler.call(&bound)
    };
    leave_if_forked(py, job, result.as_ref().err());
    let generates = handler.kind() == Kind::Generator;
    if !generates {
        job.ran();
    }
    let result = match result {
        Ok(generator) if generates => {
            return Outcome::Stream(Streaming::new(generator, entered));
        }
        Ok(result) => result,
        Err(error) => {
            let status = failure::raised(py, &error, traceback, &[Failing::of(job)], out);
            return Outcome::Answer(status, Vec::new());
        }
    };
    let encoded = encoded(handler.finished(result), out, take_rooms(), || drop(bound));
    leave_if_forked(py, job, encoded.as_ref().err());
    match encoded {
        Ok(attachments) => Outcome::Answer(Code::Ok, attachments),
        Err(error) => Outcome::Answer(failure::result(py, &error, &[Failing::of(job)], out), Vec::new()),
    }
}

/// Does for a call what is done for it before and after its handler, so that the next one finds it all warm. What the user
/// wrote does not run: no handler, and no validator of the user's.
fn rehearse(py: Python<'_>, job: &mut PyJob, out: &mut Vec<u8>, base: &BaseContext) {
    let _entered = base.enter(py);
    let handler = job.handler().clone_ref(py);
    let bound = if handler.get().is_pure() { bind(py, job, &handler).ok() } else { None };
    job.decoded();
    job.ran();
    // There is nothing that could not be encoded of nothing.
    let _ = encoded(Ok(py.None().into_bound(py)), out, take_rooms(), || drop(bound));
}

fn bind<'py>(
    py: Python<'py>,
    job: &mut PyJob,
    handler: &Py<Handler>,
) -> PyResult<crate::calls::handler::Bounded<'py>> {
    if let Some(reason) = handler.get().misfit(job.streams()) {
        return Err(errors::precondition(py, reason));
    }
    let arguments = decode::decode_with(py, job.payload(), job.attachments())?;
    if !job.uploads() {
        return handler.get().bind(&arguments, None);
    }
    let items = Items::new(job.arguments(), handler.clone_ref(py));
    handler.get().bind(&arguments, Some(Bound::new(py, items)?.as_any()))
}
