//! The call that a handler runs for, as Python sees it.

use std::cell::Cell;
use std::ptr;

use pycrust_engine::CallContext;
use pycrust_protocol::header::TraceContext;
use pycrust_protocol::limits::MAX_METADATA_LEN;
use pycrust_transport::Connection;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::dispatch::{PyJob, PyLent};
use crate::{decode, encode};

thread_local! {
    /// What this dispatch thread runs at the moment.
    static RUNNING: Cell<*const PyJob> = const { Cell::new(ptr::null()) };
    /// The batch that this dispatch thread runs at the moment.
    static BATCH: Cell<Option<*const [PyJob]>> = const { Cell::new(None) };
}

/// Makes a job the one that this thread runs, until it is dropped.
pub(crate) struct Running<'a> {
    _job: &'a PyJob,
    before: *const PyJob,
}

impl<'a> Running<'a> {
    pub(crate) fn new(job: &'a PyJob) -> Self {
        Self { _job: job, before: RUNNING.replace(job) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}

/// Makes jobs the batch that this thread runs, until it is dropped.
pub(crate) struct RunningBatch<'a> {
    _jobs: &'a [PyJob],
    before: Option<*const [PyJob]>,
}

impl<'a> RunningBatch<'a> {
    pub(crate) fn new(jobs: &'a [PyJob]) -> Self {
        Self { _jobs: jobs, before: BATCH.replace(Some(jobs)) }
    }
}

impl Drop for RunningBatch<'_> {
    fn drop(&mut self) {
        BATCH.set(self.before);
    }
}

/// The calls of the batch that this thread runs, if it runs one.
pub(crate) fn current_batch() -> Option<Vec<CurrentCall>> {
    let jobs = BATCH.get()?;
    // SAFETY: set only while a `RunningBatch` of this thread borrows the jobs, and used on this thread only.
    let jobs = unsafe { &*jobs };
    Some(jobs.iter().map(|job| CurrentCall { context: job.context() }).collect())
}

/// Lends this thread's place to other calls, if it runs a handler, which is about to wait for a call.
pub(crate) fn lend() -> Option<PyLent> {
    let job = RUNNING.get();
    // SAFETY: as in `current`.
    let running = unsafe { job.as_ref() };
    // SAFETY: as in `current_batch`.
    let batch = || BATCH.get().and_then(|jobs| unsafe { &*jobs }.first());
    running.or_else(batch).map(PyJob::lend)
}

/// What this thread runs, if it runs a handler.
pub(crate) fn current() -> Option<CurrentCall> {
    let job = RUNNING.get();
    // SAFETY: not null only while a `Running` of this thread borrows the job, and used on this thread only.
    unsafe { job.as_ref() }.map(|job| CurrentCall { context: job.context() })
}

/// The call that a handler runs for. It may be kept beyond the call's end.
#[pyclass(frozen, module = "pycrust._native", name = "CurrentCall")]
pub(crate) struct CurrentCall {
    pub(crate) context: CallContext<Connection>,
}

#[pymethods]
impl CurrentCall {
    /// The caller's number for the call; unique on its connection only.
    #[getter]
    fn id(&self) -> u64 {
        self.context.id
    }

    /// The method's name.
    #[getter]
    fn method(&self) -> &str {
        &self.context.method
    }

    /// The version of the handler that runs, from 1.
    #[getter]
    fn version(&self) -> u32 {
        self.context.version
    }

    /// What the caller calls itself.
    #[getter]
    fn client(&self) -> &str {
        &self.context.peer().name
    }

    /// The caller's process id.
    #[getter]
    fn client_pid(&self) -> u32 {
        self.context.peer().pid
    }

    /// The number of the caller's connection.
    #[getter]
    fn connection(&self) -> u64 {
        self.context.connection()
    }

    /// Seconds until the deadline, 0.0 once it has passed; `None` if there is none.
    #[getter]
    fn time_left(&self) -> Option<f64> {
        self.context.time_left().map(|left| left.as_secs_f64())
    }

    /// Whether the caller cancelled the call, gave it up or is gone.
    #[getter]
    fn cancelled(&self) -> bool {
        self.context.cancelled()
    }

    /// Whether the caller said that running the call twice does no harm.
    #[getter]
    fn idempotent(&self) -> bool {
        self.context.idempotent
    }

    /// The caller's metadata: strings to strings or bytes.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.context.metadata.is_empty() {
            return Ok(PyDict::new(py).into_any());
        }
        Ok(decode::decode(py, &self.context.metadata)?)
    }

    /// The caller's trace context as a W3C `traceparent`; `None` if it has none.
    #[getter]
    fn traceparent(&self) -> Option<String> {
        let trace = &self.context.trace;
        (*trace != TraceContext::default()).then(|| trace.to_string())
    }

    /// Sends metadata back with the answer, in place of what was set before.
    fn set_metadata(&self, metadata: &Bound<'_, PyDict>) -> PyResult<()> {
        self.context.set_answer_metadata(encoded_metadata(metadata)?);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let context = &self.context;
        let left = context.time_left().map_or_else(String::new, |left| format!(", {left:.3?} left"));
        let cancelled = if context.cancelled() { ", cancelled" } else { "" };
        format!(
            "<call of {} v{} by {}{left}{cancelled}>",
            context.method,
            context.version,
            context.peer().name
        )
    }
}

/// Metadata as it travels: a map from strings to strings or bytes, which is checked.
pub(crate) fn encoded_metadata(metadata: &Bound<'_, PyDict>) -> PyResult<Vec<u8>> {
    use pyo3::types::{PyBytes, PyString};
    for (key, value) in metadata {
        let fits = key.is_instance_of::<PyString>()
            && (value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>());
        if !fits {
            return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "metadata maps str to str or bytes, not {} to {}",
                key.get_type().name()?,
                value.get_type().name()?
            )));
        }
    }
    let mut out = Vec::new();
    encode::encode(metadata.as_any(), &mut out)?;
    if out.len() > MAX_METADATA_LEN {
        let len = out.len();
        return Err(PyValueError::new_err(format!(
            "metadata of {len} bytes, at most {MAX_METADATA_LEN} are allowed"
        )));
    }
    Ok(out)
}
