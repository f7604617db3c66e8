//! The Python extension `pycrust._native`: it converts, calls and reports; it decides nothing.
//!
//! A dispatch thread asks the engine for the next call while detached from the interpreter, runs it
//! attached ([`handler`]), and answers. MessagePack goes straight to and from Python objects
//! ([`decode`], [`encode`]).

mod decode;
mod encode;
mod handler;
mod timestamp;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use pyo3::prelude::*;
    use pyo3::types::PyBytes;

    #[pymodule_export]
    use crate::handler::Handler;

    /// MessagePack of `value`.
    #[pyfunction]
    fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        crate::encode::encode(value, &mut out)?;
        Ok(PyBytes::new(value.py(), &out))
    }

    /// The Python object that the MessagePack in `payload` stands for.
    #[pyfunction]
    fn decode<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        Ok(crate::decode::decode(py, payload)?)
    }
}
