//! A step before a validator, for the rarer forms of a type, that costs little where a value has the usual one.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Gives a value that is exactly of one class, or text that needs no look, as it is, and what `function` makes of any
/// other.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Step {
    class: Py<PyAny>,
    /// Whether Pydantic reads ordinary text of this type by itself.
    text: bool,
    function: Py<PyAny>,
}

#[pymethods]
impl Step {
    #[new]
    #[pyo3(signature = (class, text, function, /))]
    fn new(class: Py<PyAny>, text: bool, function: Py<PyAny>) -> Self {
        Self { class, text, function }
    }

    fn __call__<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        if value.get_type().is(&self.class) || self.text && is_ordinary(value) {
            return Ok(value.clone());
        }
        self.function.bind(py).call1((value,))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.class)?;
        visit.call(&self.function)
    }
}

/// Whether text has neither a fraction below a microsecond nor a space before an offset: the forms that Pydantic would
/// cut or refuse.
fn is_ordinary(value: &Bound<'_, PyAny>) -> bool {
    let Ok(text) = value.cast_exact::<PyString>() else { return false };
    let Ok(text) = text.to_str() else { return true };
    let fraction = text.find(['.', ',']).map_or("", |at| &text[at + 1..]);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    // A duration of the crate `time` is all seconds: 90.000000001.
    digits <= 6 && !text.contains(" +") && !text.contains(" -")
}
