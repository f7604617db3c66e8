//! What handlers give: written for one caller, or told apart for those of a batch.

use std::sync::Arc;

use pycrust_transport::Attachment;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::values::attached::Attached;
use crate::values::encode;
use crate::values::memory::Rooms;

/// Writes a finished result, or an item of a streamed one; gives its arrays. `let_go` drops what may refer to them
/// beside the result itself.
pub(crate) fn encoded(
    finished: PyResult<Bound<'_, PyAny>>,
    out: &mut Vec<u8>,
    rooms: Option<Arc<Rooms>>,
    let_go: impl FnOnce(),
) -> PyResult<Vec<Attachment>> {
    let result = finished?;
    let mut attached = Attached::with(rooms);
    encode::encode_with(&result, out, &mut attached)?;
    if attached.is_empty() {
        return Ok(Vec::new());
    }
    // First every reference to the result, then the look whether there are others.
    drop(result);
    let_go();
    Ok(attached.attachments())
}

/// Why no call of a batch has a result.
pub(crate) enum Failed {
    /// The handler raised.
    Raised(PyErr),
    /// What it returned is not one result for each call.
    Misshapen(PyErr),
}

impl Failed {
    pub(crate) fn error(&self) -> &PyErr {
        let (Self::Raised(error) | Self::Misshapen(error)) = self;
        error
    }
}

/// The results of a batch, one for each of `calls`.
pub(crate) fn results<'py>(returned: &Bound<'py, PyAny>, calls: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let kind = returned.get_type();
    let misshapen = |what: String| {
        PyTypeError::new_err(format!(
            "a batch handler returns one result for each of {calls} calls, not {what}"
        ))
    };
    // Not any sequence: a str has a length, too.
    let results: Vec<_> = match returned.cast::<PyList>() {
        Ok(list) => list.iter().collect(),
        Err(_) if returned.hasattr("__len__")? && !returned.is_instance_of::<pyo3::types::PyString>() => {
            returned.try_iter()?.collect::<PyResult<_>>()?
        }
        Err(_) => return Err(misshapen(format!("{}", kind.qualname()?))),
    };
    if results.len() == calls {
        return Ok(results);
    }
    Err(misshapen(format!("{} in a {}", results.len(), kind.qualname()?)))
}
