//! What kind of handler one is, as Python names it.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// How arguments reach the function; `pycrust/handlers/arguments.py` chooses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The function has no parameters.
    Empty,
    /// Nothing is validated: a map gives keywords, an array positions.
    Raw,
    /// The validator gives a model instance; its fields are the keywords.
    Fields,
    /// The validator gives a model instance; it is the one argument.
    Model,
    /// The validator gives `(args, kwargs)`.
    Args,
    /// The one argument is an iterator over what the caller streams, each item validated.
    Items,
}

/// What calling the function gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The result.
    Function,
    /// An iterator over the results.
    Generator,
    /// An awaitable of the result.
    Coroutine,
    /// An async iterator over the results.
    AsyncGenerator,
}

impl Mode {
    /// What Python calls each.
    const NAMES: [(&'static str, Self); 6] = [
        ("none", Self::Empty),
        ("raw", Self::Raw),
        ("fields", Self::Fields),
        ("model", Self::Model),
        ("args", Self::Args),
        ("items", Self::Items),
    ];

    /// What Python calls it.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

impl<'py> FromPyObject<'_, 'py> for Mode {
    type Error = PyErr;

    fn extract(name: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        named(name, "mode", &Self::NAMES)
    }
}

impl<'py> FromPyObject<'_, 'py> for Kind {
    type Error = PyErr;

    fn extract(name: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        named(
            name,
            "kind",
            &[
                ("function", Self::Function),
                ("generator", Self::Generator),
                ("coroutine", Self::Coroutine),
                ("async_generator", Self::AsyncGenerator),
            ],
        )
    }
}

/// The one that Python calls so.
fn named<T: Copy>(name: Borrowed<'_, '_, PyAny>, what: &str, known: &[(&str, T)]) -> PyResult<T> {
    let name: &str = name.extract()?;
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|(_, found)| *found).ok_or_else(|| PyValueError::new_err(format!("unknown {what} {name:?}")))
}
