//! The Python extension `pycrust._native`: it converts, calls and reports; it decides nothing.
//!
//! A dispatch thread asks the engine for the next call while detached from the interpreter, runs it
//! attached ([`handler`]), and answers. MessagePack goes straight to and from Python objects
//! ([`decode`], [`encode`]).

mod arguments;
mod async_call;
mod batch;
mod beside;
mod client;
mod current;
mod decode;
mod dispatch;
mod encode;
mod failure;
mod handler;
mod inbox;
mod keys;
mod memory;
mod plain;
mod record;
mod scheduling;
mod snapshot;
mod stream;
mod strided;
mod timestamp;
mod worker;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use pyo3::exceptions::PyOSError;
    use pyo3::prelude::*;
    use pyo3::types::PyBytes;

    #[pymodule_export]
    use crate::arguments::Items;
    #[pymodule_export]
    use crate::async_call::AsyncCall;
    #[pymodule_export]
    use crate::client::{Client, ClientFeed, ClientStream, PendingCall};
    #[pymodule_export]
    use crate::current::CurrentCall;
    #[pymodule_export]
    use crate::handler::Handler;
    #[pymodule_export]
    use crate::inbox::Inbox;
    #[pymodule_export]
    use crate::memory::{Buffer, Private, Room};
    #[pymodule_export]
    use crate::record::PyRecord;
    #[pymodule_export]
    use crate::worker::Worker;

    /// MessagePack of `value`.
    #[pyfunction]
    fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(256);
        crate::encode::encode(value, &mut out)?;
        Ok(PyBytes::new(value.py(), &out))
    }

    /// The Python object that the MessagePack in `payload` stands for.
    #[pyfunction]
    fn decode<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        Ok(crate::decode::decode(py, payload)?)
    }

    /// Like `decode`, of a payload whose arrays nobody kept: each is a `pycrust.arrays.Absent`.
    #[pyfunction]
    fn decode_kept<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        Ok(crate::decode::decode_kept(py, payload)?)
    }

    /// What a caller makes of `value`: encoded and decoded again; its arrays are copied once.
    #[pyfunction]
    fn crossed<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (mut out, mut beside) = (Vec::new(), crate::beside::Beside::default());
        crate::encode::encode_with(value, &mut out, &mut beside)?;
        let attachments = pycrust_transport::Attachments::copies(&beside.attachments());
        Ok(crate::decode::decode_with(value.py(), &out, &attachments)?)
    }

    /// The call that this thread runs a sync handler for; `None` if it runs none.
    #[pyfunction]
    fn current_call() -> Option<CurrentCall> {
        crate::current::current()
    }

    /// The calls that this thread runs a batch handler for, in the order of its list; `None` if it runs none.
    #[pyfunction]
    fn current_calls() -> Option<Vec<CurrentCall>> {
        crate::current::current_batch()
    }

    /// Keeps output of the sync handler that this thread runs, on channel `stdout`, `stderr` or `display`: whether it
    /// was kept, `None` if the thread runs none.
    #[pyfunction]
    fn write_output(channel: &str, text: &str) -> PyResult<Option<bool>> {
        Ok(crate::current::write_output(crate::record::channel(channel)?, text))
    }

    /// The calling thread, which answers calls, comes before threads that compute.
    #[pyfunction]
    fn be_punctual() {
        crate::scheduling::be_punctual();
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
            Ok(live) => crate::snapshot::to_python(py, &live),
            Err(error) => Err(PyOSError::new_err(error.to_string())),
        }
    }

    /// Closes this library's file descriptors in a forked child; its ports are the parent's.
    #[pyfunction]
    fn after_fork_in_child() {
        pycrust_transport::after_fork_in_child();
    }
}
