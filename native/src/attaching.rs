//! Threads of this library's own that run Python.

use std::mem::forget;
use std::thread;

use pyo3::prelude::*;

/// Attaches this thread, which Rust has made, and runs `work`.
///
/// An interpreter that ends lets no thread go on that wants it back: before Python 3.14 it ends such a thread with
/// `pthread_exit`, which unwinds it. Past here that would give back an interpreter which this thread does not have, and
/// abort the process. So the thread waits for the process's end instead, as Python 3.14 has it.
pub(crate) fn attach<T>(work: impl FnOnce(Python<'_>) -> T) -> T {
    Python::attach(|py| {
        let unwound = WaitsForTheEnd;
        let result = work(py);
        forget(unwound);
        result
    })
}

struct WaitsForTheEnd;

impl Drop for WaitsForTheEnd {
    fn drop(&mut self) {
        // A panic goes on to whoever joins the thread.
        while !thread::panicking() {
            thread::park();
        }
    }
}
