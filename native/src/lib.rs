//! The Python extension `pycrust._native`: it converts, calls and reports; it decides nothing.
//!
//! A dispatch thread asks the engine for the next call while detached from the interpreter, runs it
//! attached (`handler`), and answers. MessagePack goes straight to and from Python objects
//! (`decode`, `encode`).

#[cfg(not(target_os = "linux"))]
compile_error!(
    "PyCrust runs on Linux only: it calls through shared memory, eventfd and memfd. On macOS and Windows, build it in a \
     Linux container or virtual machine"
);

mod attaching;
mod calls;
mod client;
mod monitoring;
mod realtime;
mod scheduling;
mod shield;
mod shown;
mod values;
mod worker;

use pyo3::prelude::*;

// Its objects rely on the interpreter's lock: without it, an interpreter must bring it back when it loads this.
#[pymodule(gil_used = true)]
mod _native {
    use std::cell::Cell;

    use pycrust_transport::Attachments;
    use pyo3::exceptions::{PyOSError, PyValueError};
    use pyo3::prelude::*;
    use pyo3::types::{PyBytes, PyDict};

    #[pymodule_export]
    use crate::calls::arguments::Items;
    #[pymodule_export]
    use crate::calls::async_call::AsyncCall;
    #[pymodule_export]
    use crate::calls::context::BaseContext;
    #[pymodule_export]
    use crate::calls::current::{CurrentCall, Printed};
    #[pymodule_export]
    use crate::calls::handler::Handler;
    #[pymodule_export]
    use crate::calls::inbox::Inbox;
    #[pymodule_export]
    use crate::calls::spans::trace_calls;
    #[pymodule_export]
    use crate::client::{Client, ClientFeed, ClientStream, PendingCall};
    #[pymodule_export]
    use crate::monitoring::{MetricsServer, metrics_text};
    #[pymodule_export]
    use crate::realtime::RealTimeProfile;
    #[pymodule_export]
    use crate::shield::shielded;
    #[pymodule_export]
    use crate::shown::logs::{log_close, log_forked, log_levels, log_put, log_take};
    #[pymodule_export]
    use crate::shown::record::{PyRecord, PyScrub, Shown, call_lines, matches};
    #[pymodule_export]
    use crate::values::memory::{Buffer, Private, Room};
    #[pymodule_export]
    use crate::values::step::Step;
    #[pymodule_export]
    use crate::worker::Worker;

    /// The version of the protocol that both sides speak.
    #[pymodule_export]
    const PROTOCOL_VERSION: u16 = pycrust_protocol::limits::PROTOCOL_VERSION;

    /// The release, as Cargo numbers it.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    #[allow(clippy::unnecessary_wraps, reason = "PyO3 wants it")]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::shown::logs::install();
        Ok(())
    }

    /// Bytes of memory that are kept for the next encoding, at most.
    const MAX_SCRATCH: usize = 64 << 10;

    thread_local! {
        /// Memory for the next encoding; taken while one goes on, since that may run Python code.
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    /// MessagePack of `value`.
    #[pyfunction]
    #[pyo3(signature = (value, /))]
    fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = SCRATCH.take();
        out.clear();
        crate::values::encode::encode(value, &mut out)?;
        let bytes = PyBytes::new(value.py(), &out);
        if out.capacity() <= MAX_SCRATCH {
            SCRATCH.set(out);
        }
        Ok(bytes)
    }

    /// The Python object that the MessagePack in `payload` stands for.
    #[pyfunction]
    #[pyo3(signature = (payload, /))]
    fn decode<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        Ok(crate::values::decode::decode(py, payload)?)
    }

    /// Like `decode`, of a recorded payload and the arrays that were kept of it; without them, each is a
    /// `pycrust.arrays.absent.Absent`.
    #[pyfunction]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 gives it by value")]
    #[pyo3(signature = (payload, arrays=Vec::new()))]
    fn decode_kept<'py>(
        py: Python<'py>,
        payload: &[u8],
        arrays: Vec<Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let arrays = Attachments::of(&arrays.iter().map(PyBytesMethods::as_bytes).collect::<Vec<_>>());
        Ok(crate::values::decode::decode_kept(py, payload, &arrays)?)
    }

    /// What a caller makes of `value`: encoded and decoded again; its arrays are copied once.
    #[pyfunction]
    fn crossed<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (mut out, mut attached) = (Vec::new(), crate::values::attached::Attached::default());
        crate::values::encode::encode_with(value, &mut out, &mut attached)?;
        let attachments = Attachments::copies(&attached.attachments());
        Ok(crate::values::decode::decode_with(value.py(), &out, &attachments)?)
    }

    /// What differs between two versions' schemas of a method, each with its path, what it is, and whether callers built
    /// against the older one have to change. A text that is no JSON is a difference by itself.
    #[pyfunction]
    #[pyo3(signature = (old, new, /))]
    fn schema_changes(py: Python<'_>, old: &str, new: &str) -> Vec<(String, String, bool)> {
        let changes = py.detach(|| {
            let [old, new] =
                [old, new].map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
            pycrust_schema::changes(&old, &new)
        });
        changes.into_iter().map(|change| (change.path, change.what, change.breaking)).collect()
    }

    /// The source of a Rust module that calls the handlers of a lock file, which is given as its text.
    #[pyfunction]
    #[pyo3(signature = (lock, /))]
    fn rust_module(py: Python<'_>, lock: &str) -> PyResult<String> {
        py.detach(|| {
            pycrust_schema::Lock::parse(lock, "the lock file").map(|lock| pycrust_schema::rust_module(&lock))
        })
        .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The call that this thread runs a sync handler for; `None` if it runs none.
    #[pyfunction]
    fn current_call() -> Option<CurrentCall> {
        crate::calls::current::current()
    }

    /// A call's metadata as MessagePack, checked: strings to strings or bytes, no more than may travel.
    #[pyfunction]
    fn encode_metadata<'py>(metadata: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(metadata.py(), &crate::calls::current::encoded_metadata(metadata)?))
    }

    /// The calls that this thread runs a batch handler for, in the order of its list; `None` if it runs none.
    #[pyfunction]
    fn current_calls() -> Option<Vec<CurrentCall>> {
        crate::calls::current::current_batch()
    }

    /// Keeps output of the sync handler that this thread runs, on channel `stdout`, `stderr` or `display`: whether it
    /// was kept, `None` if the thread runs none.
    #[pyfunction]
    fn write_output(channel: &str, text: &str) -> PyResult<Option<bool>> {
        Ok(crate::calls::current::write_output(crate::shown::record::channel(channel)?, text))
    }

    /// Calls `callback` when the sync handler that this thread runs has returned, before its caller is answered; of a
    /// generator, after the step that runs. Whether the thread runs one.
    #[pyfunction]
    fn at_end(callback: Py<PyAny>) -> bool {
        crate::calls::current::at_end(callback)
    }

    /// Where output of the sync handler that this thread runs is kept; `None` if the thread runs none.
    #[pyfunction]
    fn printed() -> Option<Printed> {
        crate::calls::current::printed()
    }

    /// The calling thread, which answers calls, comes before threads that compute.
    #[pyfunction]
    fn be_punctual() {
        crate::scheduling::be_punctual();
    }

    /// In a forked child: the collector is as it was before the calls that its parent runs.
    #[pyfunction]
    fn collector_forked(py: Python<'_>) {
        crate::calls::collecting::forked(py);
    }

    /// The main thread lets every thread that wakes come first; or, with `False`, no longer.
    #[pyfunction]
    #[pyo3(signature = (*, enabled))]
    fn yield_to_others(enabled: bool) {
        crate::scheduling::yield_to_others(enabled);
    }

    /// Every endpoint that a live process of this user serves.
    #[pyfunction]
    fn live_endpoints(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let live =
            py.detach(|| pycrust_transport::Runtime::discover().map(|runtime| runtime.live_endpoints()));
        match live {
            Ok(live) => crate::shown::snapshot::to_python(py, &live),
            Err(error) => Err(PyOSError::new_err(error.to_string())),
        }
    }

    /// Every endpoint whose worker ended without removing its lock; whoever lists the live ones removes it.
    #[pyfunction]
    fn stale_endpoints(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let stale =
            py.detach(|| pycrust_transport::Runtime::discover().map(|runtime| runtime.stale_endpoints()));
        match stale {
            Ok(stale) => crate::shown::snapshot::to_python(py, &stale),
            Err(error) => Err(PyOSError::new_err(error.to_string())),
        }
    }

    /// The directories in which workers and clients of this user find each other, in the order in which they are looked at.
    #[pyfunction]
    fn runtime_dirs() -> PyResult<Vec<std::path::PathBuf>> {
        let runtime = pycrust_transport::Runtime::discover();
        runtime.map(|runtime| runtime.dirs()).map_err(|error| PyOSError::new_err(error.to_string()))
    }

    /// Bytes of stack for a thread that runs handlers: as many as the main thread may use.
    #[pyfunction]
    fn stack_size() -> usize {
        pycrust_transport::stack_size()
    }

    /// Removes what this process has in shared memory, before it ends without an exit.
    #[pyfunction]
    fn clean_up() {
        pycrust_transport::clean_up();
    }
}
