//! Spans of calls, where `pycrust.telemetry` has asked for them; otherwise one look at a flag for each call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pycrust_protocol::Code;
use pyo3::prelude::*;

use crate::calls::current::CurrentCall;
use crate::calls::types::PyJob;

/// Whether there is a tracer.
static ON: AtomicBool = AtomicBool::new(false);
/// What begins a span and what ends it. Only taken while attached, for the time that a reference takes.
static TRACER: Mutex<Option<Arc<Tracer>>> = Mutex::new(None);

/// `pycrust.telemetry`'s two functions.
struct Tracer {
    begin: Py<PyAny>,
    end: Py<PyAny>,
}

/// Has `begin(endpoint, call, since_received_ns, current)` called in the context of each call before its arguments are
/// decoded, and `end(span, code, stages)` with what that gave before the call is answered: `stages` are the nanoseconds of
/// queue, interpreter, decode, handler and encode. `current` is whether the span is to be the context's. Without arguments, no
/// longer.
#[pyfunction]
#[pyo3(signature = (begin=None, end=None))]
pub(crate) fn trace_calls(begin: Option<Py<PyAny>>, end: Option<Py<PyAny>>) {
    let tracer = begin.zip(end).map(|(begin, end)| Arc::new(Tracer { begin, end }));
    ON.store(tracer.is_some(), Ordering::Release);
    let before = std::mem::replace(&mut *TRACER.lock().unwrap_or_else(PoisonError::into_inner), tracer);
    drop(before);
}

fn tracer() -> Option<Arc<Tracer>> {
    TRACER.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The span of one call, and who ends it.
pub(crate) struct Span {
    span: Py<PyAny>,
    tracer: Arc<Tracer>,
}

/// A call whose span is to begin: what Python is told of it, which is found without running any of it.
pub(crate) struct Untold {
    tracer: Arc<Tracer>,
    endpoint: String,
    call: CurrentCall,
    since_received_ns: u64,
}

/// What is to be told of a call, where somebody wants to hear it.
pub(crate) fn untold(job: &PyJob) -> Option<Untold> {
    if !ON.load(Ordering::Relaxed) || job.rehearses() {
        return None;
    }
    Some(Untold {
        tracer: tracer()?,
        endpoint: job.endpoint().into(),
        call: CurrentCall { context: job.context(), rooms: Arc::default() },
        since_received_ns: job.since_received_ns(),
    })
}

impl Untold {
    /// Begins the span, in the context that the call runs in; of a batch, whose calls share one, apart from it.
    pub(crate) fn begin(self, py: Python<'_>, current: bool) -> Option<Span> {
        let Self { tracer, endpoint, call, since_received_ns } = self;
        match tracer.begin.call1(py, (endpoint, call, since_received_ns, current)) {
            Ok(span) => Some(Span { span, tracer }),
            // Nothing that telemetry does is the call's fault.
            Err(error) => {
                error.write_unraisable(py, None);
                None
            }
        }
    }
}

/// Begins the span of a call.
pub(crate) fn begin(py: Python<'_>, job: &PyJob, current: bool) -> Option<Span> {
    untold(job)?.begin(py, current)
}

/// Ends the span of a call that is about to be answered.
pub(crate) fn end(py: Python<'_>, span: Option<Span>, job: &PyJob, code: Code) {
    let Some(Span { span, tracer }) = span else { return };
    let stages = job.stages_so_far();
    let stages =
        (stages.queue_ns, stages.interpreter_ns, stages.decode_ns, stages.handler_ns, stages.encode_ns);
    if let Err(error) = tracer.end.call1(py, (span, u8::from(code), stages)) {
        error.write_unraisable(py, None);
    }
}
