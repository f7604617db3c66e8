//! Exceptions to error payloads. Python decides what they say (`pycrust/errors.py`).

use std::sync::Arc;

use pycrust_engine::{Channel, Output, RunningCall};
use pycrust_protocol::{Code, ErrorPayload};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::calls::current;
use crate::calls::types::PyJob;
use crate::values::encode;

/// A call that fails, apart from its job: describing an exception runs the exception's own code.
pub(crate) struct Failing {
    endpoint: Arc<str>,
    call: RunningCall,
    record: Option<Arc<Output>>,
}

impl Failing {
    pub(crate) fn of(job: &PyJob) -> Self {
        Self { endpoint: job.endpoint().into(), call: job.running(), record: job.output().cloned() }
    }
}

/// The arguments don't fit: `pycrust.errors.describe_arguments`.
pub(crate) fn arguments(py: Python<'_>, error: &PyErr, failing: &Failing, out: &mut Vec<u8>) -> Code {
    let code = described(py, error, "describe_arguments", None, false, out);
    log(py, error, code, std::slice::from_ref(failing));
    code
}

/// The handler raised: `pycrust.errors.describe`. Where its callers get no traceback, the calls' records do.
pub(crate) fn raised(
    py: Python<'_>,
    error: &PyErr,
    traceback: bool,
    failing: &[Failing],
    out: &mut Vec<u8>,
) -> Code {
    if !traceback {
        let records = failing.iter().filter_map(|failing| failing.record.as_ref());
        records.for_each(|record| keep_traceback(py, error, record));
    }
    let code = described(py, error, "describe", Some(traceback), true, out);
    log(py, error, code, failing);
    code
}

/// Tells `pycrust.calls.failures` what an exception has ended: one call, or those of a batch.
fn log(py: Python<'_>, error: &PyErr, code: Code, failing: &[Failing]) {
    let Some(first) = failing.first() else { return };
    let told = || -> PyResult<()> {
        let call = current::described(py, &first.call)?;
        let arguments = (&*first.endpoint, call, u8::from(code), error.value(py), failing.len());
        py.import("pycrust.calls.failures")?.call_method1("failed", arguments).map(drop)
    };
    if let Err(second) = told() {
        second.write_unraisable(py, None);
    }
}

/// Leaves `pycrust.errors.traceback_text` with a call's record.
fn keep_traceback(py: Python<'_>, error: &PyErr, record: &Output) {
    let text = || -> PyResult<String> {
        let value = error.value(py);
        value.setattr("__traceback__", error.traceback(py))?;
        py.import("pycrust.errors")?.call_method1("traceback_text", (value,))?.extract()
    };
    // Without it, the record says what the caller was told.
    if let Ok(text) = text() {
        record.write(Channel::Traceback, &text);
    }
}

/// The result doesn't fit or can't cross: `pycrust.errors.describe_result`.
pub(crate) fn result(py: Python<'_>, error: &PyErr, failing: &[Failing], out: &mut Vec<u8>) -> Code {
    let code = described(py, error, "describe_result", None, true, out);
    log(py, error, code, failing);
    code
}

/// The payload of an answer to a call that was cancelled while it ran.
pub(crate) fn cancelled() -> Vec<u8> {
    let message = "the call was cancelled while it ran".to_owned();
    ErrorPayload { may_have_run: true, ..ErrorPayload::message(message) }.encode()
}

fn described(
    py: Python<'_>,
    error: &PyErr,
    how: &str,
    traceback: Option<bool>,
    may_have_run: bool,
    out: &mut Vec<u8>,
) -> Code {
    out.clear();
    let mut description = || -> PyResult<Code> {
        let value = error.value(py);
        // Before Python 3.12 the traceback travels beside the exception, not in it.
        value.setattr("__traceback__", error.traceback(py))?;
        let describe = py.import("pycrust.errors")?.getattr(how)?;
        let described = match traceback {
            Some(traceback) => describe.call1((value, traceback))?,
            None => describe.call1((value,))?,
        };
        let (code, payload) = described.extract::<(u8, Bound<'_, PyDict>)>()?;
        payload.set_item("may_have_run", may_have_run)?;
        encode::encode(payload.as_any(), out)?;
        Ok(Code::from_u8(code).unwrap_or(Code::Unknown))
    };
    description().unwrap_or_else(|second| {
        // Describing an exception runs its own code (`__str__`), which may raise in turn.
        let payload = ErrorPayload {
            message: format!("an exception that can't be described: {second}"),
            exception: error.get_type(py).to_string(),
            may_have_run,
            ..ErrorPayload::default()
        };
        out.clear();
        out.extend_from_slice(&payload.encode());
        Code::Unknown
    })
}
