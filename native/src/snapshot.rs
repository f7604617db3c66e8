//! The engine's own answers as Python objects: through MessagePack, as a caller would get them.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::decode;

/// `answer` as dicts, lists and numbers.
pub(crate) fn to_python<'py, T: serde::Serialize>(
    py: Python<'py>,
    answer: &T,
) -> PyResult<Bound<'py, PyAny>> {
    let payload =
        rmp_serde::to_vec_named(answer).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(decode::decode(py, &payload)?)
}
