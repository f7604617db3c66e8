//! Changes of state that no interrupt cuts in two (`docs/decisions/0026`).

use std::cell::Cell;
use std::thread::Builder;

use pycrust_transport::stack_size;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::attaching::attach;

thread_local! {
    /// Whether this thread is one that no interrupt reaches.
    static SHIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `function` on a thread of its own and waits for it. Python raises interrupts in the main thread, and in a
/// thread that they are sent to: not there. One that comes meanwhile is raised when the change is made.
#[pyfunction]
#[pyo3(signature = (function, *args, **kwargs))]
pub(crate) fn shielded<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    if SHIELDED.get() {
        return function.call(args, kwargs);
    }
    let py = function.py();
    let (callee, positional, named) =
        (function.clone().unbind(), args.clone().unbind(), kwargs.map(|kwargs| kwargs.clone().unbind()));
    let work = move || {
        SHIELDED.set(true);
        attach(|py| {
            let named = named.as_ref().map(|named| named.bind(py));
            let result = callee.bind(py).call(positional.bind(py), named).map(Bound::unbind);
            forget_this_thread(py);
            result
        })
    };
    // Without a name of its own, which threads that Python starts in there would inherit.
    match Builder::new().stack_size(stack_size()).spawn(work) {
        Ok(thread) => match py.detach(|| thread.join()) {
            Ok(result) => result.map(|result| result.into_bound(py)),
            Err(_) => {
                Err(PyRuntimeError::new_err("a change of state panicked; the process's stderr has more"))
            }
        },
        // Without a thread to be had, an interrupt may cut it in two: better than not to make it.
        Err(_) => function.call(args, kwargs),
    }
}

/// `threading` lists this thread once somebody has asked for it, and before Python 3.13 keeps it listed.
fn forget_this_thread(py: Python<'_>) {
    let left = py.import("pycrust.process.threads").and_then(|threads| threads.call_method0("leave"));
    // Otherwise it is listed, and no more.
    let _: PyResult<Bound<'_, PyAny>> = left;
}
