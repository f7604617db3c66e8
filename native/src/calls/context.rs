//! The contexts that calls run in: context variables, decimal's settings, NumPy's error state.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// The context that serving began in. Each call runs in a copy of it.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct BaseContext {
    /// A `contextvars.Context`.
    context: Py<PyAny>,
    /// Gives a copy decimal settings of its own; `None` where there are none to be copied.
    renew: Option<Py<PyAny>>,
}

#[pymethods]
impl BaseContext {
    /// `renew` is called in each copy, for what copies would share.
    #[new]
    fn new(context: Bound<'_, PyAny>, renew: Option<Py<PyAny>>) -> PyResult<Self> {
        // SAFETY: the check only reads the object's type.
        if unsafe { ffi::PyContext_CheckExact(context.as_ptr()) } == 0 {
            return Err(PyTypeError::new_err("the first argument is a contextvars.Context"));
        }
        Ok(Self { context: context.unbind(), renew })
    }

    /// A context for one call.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: it is a context, as `new` has checked; the copy is a new reference, or null with an exception set.
        let copy = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_Copy(self.context.as_ptr()))? };
        if let Some(renew) = &self.renew {
            copy.call_method1(pyo3::intern!(py, "run"), (renew,))?;
        }
        Ok(copy)
    }
}

impl BaseContext {
    /// Enters a context for one call; `None` if there is no memory for it, which is reported.
    pub(crate) fn enter<'py>(&self, py: Python<'py>) -> Option<Entered<'py>> {
        self.copy(py).and_then(Entered::new).map_err(|error| error.write_unraisable(py, None)).ok()
    }
}

/// The calling thread is in a context until this is dropped.
pub(crate) struct Entered<'py>(Bound<'py, PyAny>);

impl<'py> Entered<'py> {
    fn new(context: Bound<'py, PyAny>) -> PyResult<Self> {
        // SAFETY: only `BaseContext::copy` makes what comes here, a context; attached, as the reference shows.
        if unsafe { ffi::PyContext_Enter(context.as_ptr()) } == 0 {
            Ok(Self(context))
        } else {
            Err(PyErr::fetch(context.py()))
        }
    }

    /// Enters the context of an earlier step of a call again.
    pub(crate) fn again(py: Python<'py>, context: Option<&Py<PyAny>>) -> Option<Self> {
        let context = context?.bind(py).clone();
        Self::new(context).map_err(|error| error.write_unraisable(py, None)).ok()
    }

    /// What [`again`](Self::again) takes.
    pub(crate) fn context(&self) -> Py<PyAny> {
        self.0.clone().unbind()
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread has entered it in `new`, and is attached, as the reference shows.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
            // A handler has left it by means of its own (greenlets): its thread is in another one now.
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), None);
        }
    }
}
