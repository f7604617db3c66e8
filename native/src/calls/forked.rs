//! A handler that forks: its child comes back to where its parent runs the call, which is none of the child's.

use std::ffi::c_int;

use pyo3::prelude::*;

use crate::calls::types::PyJob;

/// Status of a child that can't even be ended as a program is: `EX_SOFTWARE` of sysexits.h.
const BROKEN: c_int = 70;

/// Ends this process if it was forked by the handler of `job`, which has returned or `raised`. To be asked after
/// everything that runs code of others, and before any lock of the engine's: another thread may have had it.
pub(crate) fn leave_if_forked(py: Python<'_>, job: &PyJob, raised: Option<&PyErr>) {
    if job.is_inherited() {
        leave(py, raised);
    }
}

/// Ends this process as a program ends: `pycrust.calls.forking.leave`.
#[cold]
pub(crate) fn leave(py: Python<'_>, raised: Option<&PyErr>) -> ! {
    let raised = raised.map(|error| error.value(py));
    let left =
        py.import("pycrust.calls.forking").and_then(|forking| forking.call_method1("leave", (raised,)));
    if let Err(error) = left {
        error.print(py);
    }
    // SAFETY: ends the process; nothing of the parent's is run.
    unsafe { libc::_exit(BROKEN) }
}
