//! Exceptions of `pycrust.errors`, to be raised.

use pycrust_protocol::Code;
use pyo3::prelude::*;

/// `pycrust.errors.RpcError.of(code, message)`: the exception of the class for this code.
pub(crate) fn error(py: Python<'_>, code: Code, message: &str) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let class = py.import("pycrust.errors")?.getattr("RpcError")?;
        Ok(PyErr::from_value(class.call_method1("of", (u8::from(code), message))?))
    };
    make().unwrap_or_else(|second| second)
}

/// An argument of a stream doesn't fit: `pycrust.errors.refused_item`, which the handler sees raised.
pub(crate) fn refused_item(py: Python<'_>, error: &PyErr) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let refused = py.import("pycrust.errors")?.getattr("refused_item")?;
        Ok(PyErr::from_value(refused.call1((error.value(py),))?))
    };
    make().unwrap_or_else(|second| second)
}

/// The call can't be made in this way.
pub(crate) fn precondition(py: Python<'_>, reason: &str) -> PyErr {
    error(py, Code::FailedPrecondition, reason)
}
