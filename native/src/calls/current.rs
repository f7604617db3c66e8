//! The call that a handler runs for, as Python sees it.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_long;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pycrust_engine::{CallContext, Channel, Output, RunningCall};
use pycrust_protocol::header::TraceContext;
use pycrust_protocol::limits::MAX_METADATA_LEN;
use pycrust_transport::{Connection, monotonic_ns};
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::calls::collecting::Spared;
use crate::calls::types::{PyJob, PyLent};
use crate::shown::record;
use crate::values::memory::{Room, Rooms};
use crate::values::{decode, encode};

thread_local! {
    /// What this dispatch thread runs at the moment.
    static RUNNING: Cell<*const PyJob> = const { Cell::new(ptr::null()) };
    /// The batch that this dispatch thread runs at the moment.
    static BATCH: Cell<Option<*const [PyJob]>> = const { Cell::new(None) };
    /// This dispatch thread's place among those of its worker.
    static PLACE: OnceCell<Arc<Place>> = const { OnceCell::new() };
    /// What is called when the handler that it runs has returned, or a generator's step.
    static AT_END: RefCell<Vec<Py<PyAny>>> = const { RefCell::new(Vec::new()) };
    /// Where it builds arrays of its answer, once it has asked for its call.
    static ROOMS: RefCell<Option<Arc<Rooms>>> = const { RefCell::new(None) };
}

/// Makes a job the one that this thread runs, until it is dropped. Both happen attached.
pub(crate) struct Running<'a> {
    py: Python<'a>,
    _job: &'a PyJob,
    before: *const PyJob,
    _spared: Option<Spared<'a>>,
}

impl<'a> Running<'a> {
    pub(crate) fn new(py: Python<'a>, job: &'a PyJob) -> Self {
        occupy(std::slice::from_ref(job));
        Self { py, _job: job, before: RUNNING.replace(job), _spared: Spared::new(py) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        finish(self.py);
        RUNNING.set(self.before);
        vacate(self.py);
    }
}

/// Makes jobs the batch that this thread runs, until it is dropped. Both happen attached.
pub(crate) struct RunningBatch<'a> {
    py: Python<'a>,
    _jobs: &'a [PyJob],
    before: Option<*const [PyJob]>,
    _spared: Option<Spared<'a>>,
}

impl<'a> RunningBatch<'a> {
    pub(crate) fn new(py: Python<'a>, jobs: &'a [PyJob]) -> Self {
        occupy(jobs);
        Self { py, _jobs: jobs, before: BATCH.replace(Some(jobs)), _spared: Spared::new(py) }
    }
}

impl Drop for RunningBatch<'_> {
    fn drop(&mut self) {
        finish(self.py);
        BATCH.set(self.before);
        vacate(self.py);
    }
}

/// Calls `callback` when the handler that this thread runs has returned, before its caller is answered; of a generator,
/// after the step that runs. Whether the thread runs one.
pub(crate) fn at_end(callback: Py<PyAny>) -> bool {
    let runs = BATCH.get().is_some() || !RUNNING.get().is_null();
    if runs {
        AT_END.with_borrow_mut(|waiting| waiting.push(callback));
    }
    runs
}

/// Does what is to be done at the end of a handler's run, still as a part of it.
fn finish(py: Python<'_>) {
    if AT_END.with_borrow(Vec::is_empty) {
        return;
    }
    for callback in AT_END.take() {
        if let Err(error) = callback.call0(py) {
            error.write_unraisable(py, None);
        }
    }
}

/// The calls of the batch that this thread runs, if it runs one.
pub(crate) fn current_batch() -> Option<Vec<CurrentCall>> {
    let jobs = BATCH.get()?;
    // SAFETY: set only while a `RunningBatch` of this thread borrows the jobs, and used on this thread only.
    let jobs = unsafe { &*jobs };
    Some(jobs.iter().map(|job| CurrentCall { context: job.context(), rooms: Arc::default() }).collect())
}

/// Lends this thread's place to other calls, if it runs a handler, which is about to wait for a call.
pub(crate) fn lend() -> Option<PyLent> {
    let job = RUNNING.get();
    // SAFETY: as in `current`.
    let running = unsafe { job.as_ref() };
    // SAFETY: as in `current_batch`.
    let batch = || BATCH.get().and_then(|jobs| unsafe { &*jobs }.first());
    // A forked child's calls are nothing to the parent's scheduler.
    running.or_else(batch).filter(|job| !job.is_inherited()).map(PyJob::lend)
}

/// Shows others what this dispatch thread runs from now on.
fn occupy(jobs: &[PyJob]) {
    PLACE.with(|place| {
        if let Some(place) = place.get() {
            place.lock().calls.extend(jobs.iter().map(PyJob::running));
        }
    });
}

/// This dispatch thread's handler has returned.
fn vacate(py: Python<'_>) {
    PLACE.with(|place| {
        if let Some(place) = place.get() {
            let interrupted = {
                let mut held = place.lock();
                held.calls.clear();
                std::mem::take(&mut held.interrupted)
            };
            if interrupted {
                call_off(py, place.thread);
            }
        }
    });
}

/// Takes back what this thread was to raise, if it has not been raised yet: it would be raised in the next call.
///
/// Taking it back, or having nothing to take back, leaves the interpreter before 3.13 with a flag that only an
/// exception which is raised takes away (`_PyEval_SignalAsyncExc` in its `ceval_gil.c`). All its threads would look at
/// every call and loop whether something is to be done, for good; and a profiler would never come past the first
/// instruction of a function. So one is raised here, where nobody sees it.
fn call_off(py: Python<'_>, thread: c_long) {
    // SAFETY: attached, as `py` shows.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(thread, ptr::null_mut()) };
    if py.version_info() < (3, 13) {
        let Ok(nothing) = py.import("pycrust.process.threads").and_then(|threads| threads.getattr("nothing"))
        else {
            return;
        };
        let nobody_s = py.get_type::<PyKeyboardInterrupt>();
        // SAFETY: as above.
        unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(thread, nobody_s.as_ptr()) };
        // Made before: what is made now could have garbage collected, and somebody's callback for that raises it.
        let _raised = nothing.call0();
    }
}

/// One dispatch thread, as others see it.
pub(crate) struct Place {
    /// Python's number for the thread.
    thread: c_long,
    /// Only locked while attached, so that a call can't end between being found and being interrupted.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The call of a sync handler that it runs, or the calls of a batch.
    calls: Vec<RunningCall>,
    /// It was told to raise an exception.
    interrupted: bool,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The dispatch threads of a worker.
#[derive(Default)]
pub(crate) struct Places(Mutex<Vec<Weak<Place>>>);

impl Places {
    /// Gives the calling thread a place.
    pub(crate) fn enter(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        let thread = py.import("pycrust.process.threads")?.call_method1("enter", (number,))?.extract()?;
        let place = Arc::new(Place { thread, held: Mutex::default() });
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        PLACE.with(|mine| {
            let _ = mine.set(place);
        });
        Ok(())
    }

    /// The calling thread, which has a place, ends.
    pub(crate) fn leave(py: Python<'_>) -> PyResult<()> {
        py.import("pycrust.process.threads")?.call_method0("leave").map(drop)
    }

    fn all(&self) -> Vec<Arc<Place>> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().filter_map(Weak::upgrade).collect()
    }

    /// The calls of sync handlers that run now.
    pub(crate) fn running(&self, _attached: Python<'_>) -> Vec<RunningCall> {
        self.all().iter().flat_map(|place| place.lock().calls.clone()).collect()
    }

    /// Raises an exception in the handler that runs this call; whether there is one.
    pub(crate) fn interrupt(&self, exception: &Bound<'_, PyType>, connection: u64, id: u64) -> bool {
        for place in self.all() {
            let mut held = place.lock();
            if held.calls.iter().any(|call| (call.origin.connection, call.id) == (connection, id)) {
                held.interrupted = true;
                // SAFETY: attached, as `exception` shows. The thread is inside its handler: it can't leave without
                // the lock.
                return unsafe {
                    pyo3::ffi::PyThreadState_SetAsyncExc(place.thread, exception.as_ptr()) == 1
                };
            }
        }
        false
    }
}

/// Keeps output of the handler that this thread runs, of a batch with each of its calls: whether it was kept, `None`
/// if the thread runs none.
pub(crate) fn write_output(channel: Channel, text: &str) -> Option<bool> {
    let keep = |job: &PyJob| {
        let output = job.output();
        if let Some(output) = output {
            output.write(channel, text);
        }
        output.is_some()
    };
    if let Some(jobs) = BATCH.get() {
        // SAFETY: as in `current_batch`.
        let jobs = unsafe { &*jobs };
        return Some(jobs.iter().map(keep).filter(|kept| *kept).count() > 0);
    }
    // SAFETY: as in `current`.
    unsafe { RUNNING.get().as_ref() }.map(keep)
}

/// Where the handler that this thread runs prints, of a batch all of its calls; `None` if the thread runs none.
pub(crate) fn printed() -> Option<Printed> {
    if let Some(jobs) = BATCH.get() {
        // SAFETY: as in `current_batch`.
        let jobs = unsafe { &*jobs };
        return Some(Printed(jobs.iter().filter_map(|job| job.output().cloned()).collect()));
    }
    // SAFETY: as in `current`.
    let job = unsafe { RUNNING.get().as_ref() }?;
    Some(Printed(job.output().cloned().into_iter().collect()))
}

/// Where output is kept with its call, or with the calls of its batch. It may be kept beyond their end, and keeps
/// nothing else of them.
#[pyclass(frozen, module = "pycrust._native", name = "Printed")]
pub(crate) struct Printed(Vec<Arc<Output>>);

#[pymethods]
impl Printed {
    /// Keeps output: whether it was kept, which it is not where calls are not recorded.
    fn write(&self, channel: &str, text: &str) -> PyResult<bool> {
        let channel = record::channel(channel)?;
        for output in &self.0 {
            output.write(channel, text);
        }
        Ok(!self.0.is_empty())
    }
}

/// A running call as Python reads it.
pub(crate) fn described<'py>(py: Python<'py>, call: &RunningCall) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("method", &*call.method)?;
    all.set_item("version", call.version)?;
    all.set_item("id", call.id)?;
    all.set_item("connection", call.origin.connection)?;
    all.set_item("client", &call.origin.name)?;
    all.set_item("client_pid", call.origin.pid)?;
    all.set_item("elapsed_ns", monotonic_ns().saturating_sub(call.sent_ns))?;
    Ok(all)
}

/// What this thread runs, if it runs a handler.
pub(crate) fn current() -> Option<CurrentCall> {
    let job = RUNNING.get();
    // SAFETY: not null only while a `Running` of this thread borrows the job, and used on this thread only.
    let job = unsafe { job.as_ref() }?;
    let rooms = ROOMS.with_borrow_mut(|rooms| Arc::clone(rooms.get_or_insert_default()));
    Some(CurrentCall { context: job.context(), rooms })
}

/// Where the handler that this thread has run built arrays of its answer, if it has asked for its call.
pub(crate) fn take_rooms() -> Option<Arc<Rooms>> {
    ROOMS.with(RefCell::take)
}

/// The call that a handler runs for. It may be kept beyond the call's end.
#[pyclass(frozen, module = "pycrust._native", name = "CurrentCall")]
pub(crate) struct CurrentCall {
    pub(crate) context: CallContext<Connection>,
    pub(crate) rooms: Arc<Rooms>,
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

    /// Seconds since the call was sent.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.context.elapsed().as_secs_f64()
    }

    /// Keeps output with the call: whether it was kept.
    fn write_output(&self, channel: &str, text: &str) -> PyResult<bool> {
        let channel = record::channel(channel)?;
        if let Some(output) = &self.context.output {
            output.write(channel, text);
        }
        Ok(self.context.output.is_some())
    }

    /// Where its output is kept.
    fn printed(&self) -> Printed {
        Printed(self.context.output.clone().into_iter().collect())
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

    /// `size` bytes for the answer to be built in; copied where the connection has no memory for it.
    fn room(&self, py: Python<'_>, size: usize) -> Room {
        self.rooms.take(py, &self.context, size)
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
