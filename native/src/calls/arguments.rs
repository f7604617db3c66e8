//! Arguments that a caller streams, as an iterator for the handler.

use std::sync::Mutex;
use std::time::Duration;

use pycrust_engine::Argument;
use pycrust_protocol::Code;
use pycrust_transport::Process;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::calls::errors;
use crate::calls::handler::Handler;
use crate::calls::types::PyArguments;
use crate::values::decode;

/// How long a handler waits before it looks again.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a forked child has none.
const INHERITED: &str = "this process was forked by the handler, and its parent's callers send nothing to it";

/// What a handler iterates over: each argument, as it comes.
#[pyclass(frozen, module = "pycrust._native", name = "Items")]
pub(crate) struct Items {
    arguments: Mutex<PyArguments>,
    handler: Py<Handler>,
    process: Process,
}

impl Items {
    pub(crate) fn new(arguments: PyArguments, handler: Py<Handler>) -> Self {
        Self { arguments: Mutex::new(arguments), handler, process: Process::current() }
    }
}

#[pymethods]
impl Items {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.process.is_current() {
            return Err(errors::precondition(py, INHERITED));
        }
        let argument = py.detach(|| {
            let arguments = self.arguments.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            loop {
                match arguments.wait(PATIENCE) {
                    Argument::Later => {}
                    argument => break argument,
                }
            }
        });
        value(py, argument, self.handler.get())
    }
}

/// An argument as the handler gets it; `None` at the end.
pub(crate) fn value<'py>(
    py: Python<'py>,
    argument: Argument,
    handler: &Handler,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match argument {
        Argument::Item(payload, attachments) => {
            let item = decode::decode_with(py, &payload, &attachments)
                .map_err(PyErr::from)
                .and_then(|item| handler.item(item));
            item.map(Some).map_err(|error| errors::refused_item(py, &error))
        }
        Argument::End | Argument::Later => Ok(None),
        Argument::Broken(reason) => Err(PyValueError::new_err(reason)),
        Argument::Full(reason) => Err(errors::error(py, Code::ResourceExhausted, &reason)),
        Argument::Cancelled => {
            Err(errors::error(py, Code::Cancelled, "the caller cancelled the call, or the worker stopped"))
        }
    }
}
