//! Recorded calls as Python sees them: bytes and numbers, decoded there when looked at.

use std::sync::Arc;

use pycrust_engine::{Channel, Naming, Record, Recording, Scrub, Scrubbed, Secrets};
use pycrust_protocol::header::flags;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// One recorded call.
#[pyclass(frozen, module = "pycrust._native", name = "Record")]
pub(crate) struct PyRecord(pub(crate) Arc<Record>);

#[pymethods]
impl PyRecord {
    /// Its number among the recorded calls, from 1.
    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    /// The caller's number for it, unique on its connection only.
    #[getter]
    fn id(&self) -> u64 {
        self.0.ended.id
    }

    /// What was called.
    #[getter]
    fn method(&self) -> &str {
        &self.0.ended.method
    }

    /// The version that answered; 0 where none did.
    #[getter]
    fn version(&self) -> u32 {
        self.0.ended.version
    }

    /// The number of the answer's status.
    #[getter]
    fn status(&self) -> u8 {
        self.0.ended.status.into()
    }

    /// The number of the status that the caller saw; `None` until it has told.
    #[getter]
    fn seen(&self) -> Option<u8> {
        self.0.seen().map(Into::into)
    }

    /// The request's flags.
    #[getter]
    fn flags(&self) -> u8 {
        self.0.ended.flags
    }

    /// What the caller calls itself.
    #[getter]
    fn client(&self) -> &str {
        &self.0.ended.origin.name
    }

    /// The caller's process id.
    #[getter]
    fn client_pid(&self) -> u32 {
        self.0.ended.origin.pid
    }

    /// The number of the caller's connection.
    #[getter]
    fn connection(&self) -> u64 {
        self.0.ended.origin.connection
    }

    /// When it ended, in nanoseconds since 1970.
    #[getter]
    fn ended_unix_ns(&self) -> u64 {
        self.0.ended.ended_unix_ns
    }

    /// Nanoseconds from its publishing to its answer.
    #[getter]
    fn duration_ns(&self) -> u64 {
        self.0.ended.ended_ns.saturating_sub(self.0.ended.sent_ns)
    }

    /// Nanoseconds that it had from its publishing on; 0 is without end.
    #[getter]
    fn deadline_ns(&self) -> u64 {
        self.0.ended.deadline_ns
    }

    /// Nanoseconds until the caller had its answer, as it measured; `None` until it has told.
    #[getter]
    fn round_trip_ns(&self) -> Option<u64> {
        self.0.round_trip_ns()
    }

    /// Nanoseconds of each stage, by its name.
    #[getter]
    fn stages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stages = &self.0.ended.stages;
        let all = PyDict::new(py);
        all.set_item("transit", stages.transit_ns)?;
        all.set_item("queue", stages.queue_ns)?;
        all.set_item("interpreter", stages.interpreter_ns)?;
        all.set_item("decode", stages.decode_ns)?;
        all.set_item("handler", stages.handler_ns)?;
        all.set_item("encode", stages.encode_ns)?;
        if let Some(back_ns) = self.0.back_ns() {
            all.set_item("back", back_ns)?;
        }
        Ok(all)
    }

    /// Whether a handler was started for it.
    #[getter]
    fn ran(&self) -> bool {
        self.0.ended.started
    }

    /// Whether the answer is a stream.
    #[getter]
    fn streamed(&self) -> bool {
        self.0.ended.streamed
    }

    /// Items of the answer, of a stream.
    #[getter]
    fn items(&self) -> u64 {
        self.0.ended.items
    }

    /// Of these, the first ones that are kept.
    #[getter]
    fn items_kept(&self) -> u64 {
        self.0.ended.items_kept
    }

    /// Arguments that its handler took of those that the caller streamed.
    #[getter]
    fn uploaded(&self) -> u64 {
        self.0.ended.uploaded
    }

    /// Of these, the first ones that are kept: `request` is their array.
    #[getter]
    fn uploaded_kept(&self) -> u64 {
        self.0.ended.uploaded_kept
    }

    /// The names of the method's arguments by position.
    #[getter]
    fn parameters(&self) -> Vec<String> {
        self.0.ended.recording.parameters.clone()
    }

    /// The call without the fields that are not shown.
    fn shown(&self, scrub: &PyScrub) -> Shown {
        let (scrubbed, secrets) = self.0.shown(&scrub.0);
        Shown(scrubbed, secrets)
    }

    /// Whether fields of the arguments were dropped before they were stored.
    #[getter]
    fn request_dropped(&self) -> bool {
        self.0.request.less
    }

    /// Whether fields of the answer were dropped before it was stored.
    #[getter]
    fn response_dropped(&self) -> bool {
        self.0.response.less
    }

    /// The arguments as MessagePack, as far as they were kept.
    #[getter]
    fn request<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.request.payload())
    }

    /// The arrays among the arguments, if they were kept.
    #[getter]
    fn request_arrays<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let arrays = &self.0.ended.arrays;
        (0..arrays.len())
            .filter_map(|number| arrays.get(number))
            .map(|array| PyBytes::new(py, &array))
            .collect()
    }

    /// Bytes that the arguments had.
    #[getter]
    fn request_len(&self) -> usize {
        self.0.request.len
    }

    /// The caller's metadata as MessagePack.
    #[getter]
    fn request_metadata<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.request.metadata())
    }

    /// The result or the error as MessagePack, as far as it was kept; of a stream, its items one after the other.
    #[getter]
    fn response<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.response.payload())
    }

    /// Bytes that the answer had.
    #[getter]
    fn response_len(&self) -> usize {
        self.0.response.len
    }

    /// The answer's metadata as MessagePack.
    #[getter]
    fn response_metadata<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.response.metadata())
    }

    /// What the handler printed, in order: pairs of `stdout`, `stderr` or `display` and the text. The
    /// traceback is there, too, as `traceback`, where its caller did not get it.
    #[getter]
    fn output(&self) -> Vec<(&'static str, String)> {
        let Some(output) = &self.0.ended.output else { return Vec::new() };
        let (pieces, _) = output.read();
        pieces.into_iter().map(|(channel, text)| (channel.name(), text)).collect()
    }

    /// Bytes of output that were not kept.
    #[getter]
    fn output_lost(&self) -> usize {
        self.0.ended.output.as_ref().map_or(0, |output| output.read().1)
    }
}

/// Names of fields that are not shown.
#[pyclass(frozen, module = "pycrust._native", name = "Scrub")]
pub(crate) struct PyScrub(Scrub);

#[pymethods]
impl PyScrub {
    #[new]
    fn new(names: Vec<String>) -> Self {
        Self(Scrub::new(names))
    }

    /// Whether a field of this name is hidden.
    fn hides(&self, name: &str) -> bool {
        self.0.hides(name.as_bytes())
    }
}

/// What is shown of a recorded call.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct Shown(Scrubbed, Secrets);

#[pymethods]
impl Shown {
    /// The arguments as MessagePack; empty if nothing can be shown of them.
    #[getter]
    fn request<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.request)
    }

    /// The caller's metadata as MessagePack.
    #[getter]
    fn request_metadata<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.request_metadata)
    }

    /// The result or the error as MessagePack; of a stream, its items one after the other.
    #[getter]
    fn response<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.response)
    }

    /// The answer's metadata as MessagePack.
    #[getter]
    fn response_metadata<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.response_metadata)
    }

    /// Whether anything of the arguments is hidden.
    #[getter]
    fn less_request(&self) -> bool {
        self.0.less_request
    }

    /// Whether anything of the answer is hidden.
    #[getter]
    fn less_response(&self) -> bool {
        self.0.less_response
    }

    /// A text without what is hidden of the call.
    fn text(&self, text: &str) -> String {
        self.1.hidden(text).unwrap_or_else(|| text.to_owned())
    }
}

/// Whether a pattern in which `*` stands for any text matches a whole text.
#[pyfunction]
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    pycrust_engine::matches(pattern, text)
}

/// The names in JSON of what a method's payloads give by position.
pub(crate) fn naming(json: &str) -> PyResult<Naming> {
    serde_json::from_str(json).map_err(|error| PyTypeError::new_err(format!("naming: {error}")))
}

/// A line of a list of calls: number, method, version, status, client, when it ended (milliseconds since 1970),
/// how long it took (nanoseconds), and what else there is to say.
type Line<'a> = (String, &'a str, u32, &'static str, &'a str, u64, u64, String);

/// The calls as a JSON array of [`Line`]s. Nothing of them is decoded.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "PyO3 gives it by value")]
pub(crate) fn call_lines(calls: Vec<PyRef<'_, PyRecord>>) -> PyResult<String> {
    let lines = calls.iter().map(|call| line(&call.0)).collect::<Vec<_>>();
    serde_json::to_string(&lines).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

fn line(call: &Record) -> Line<'_> {
    let ended = &call.ended;
    let truncated = call.request.truncated()
        || call.response.truncated()
        || ended.items_kept < ended.items
        || ended.uploaded_kept < ended.uploaded;
    let notes = [
        (ended.flags & (flags::STREAM | flags::UPLOAD) != 0, "stream"),
        (call.seen().is_some_and(|seen| seen != ended.status), "late"),
        (truncated, "truncated"),
    ];
    let notes = notes.iter().filter(|(there, _)| *there).map(|(_, note)| *note).collect::<Vec<_>>();
    (
        call.seq.to_string(),
        &ended.method,
        ended.version,
        ended.status.name(),
        &ended.origin.name,
        ended.ended_unix_ns / 1_000_000,
        call.round_trip_ns().unwrap_or_else(|| ended.ended_ns.saturating_sub(ended.sent_ns)),
        notes.join(", "),
    )
}

/// The channel of this name.
pub(crate) fn channel(name: &str) -> PyResult<Channel> {
    match name {
        "stdout" => Ok(Channel::Stdout),
        "stderr" => Ok(Channel::Stderr),
        "display" => Ok(Channel::Display),
        _ => Err(PyTypeError::new_err(format!("output has no channel {name:?}"))),
    }
}

/// Settings of a recorder, with what `changes` names in place of what they were.
pub(crate) fn changed(mut settings: Recording, changes: &Bound<'_, PyDict>) -> PyResult<Recording> {
    for (key, value) in changes {
        let key = key.extract::<String>()?;
        match key.as_str() {
            "on" => settings.on = value.extract()?,
            "max_calls" => settings.max_calls = value.extract()?,
            "max_bytes" => settings.max_bytes = value.extract()?,
            "max_payload" => settings.max_payload = value.extract()?,
            "max_arrays" => settings.max_arrays = value.extract()?,
            "calls_per_second" => settings.calls_per_second = value.extract()?,
            "bytes_per_second" => settings.bytes_per_second = value.extract()?,
            "drop" => settings.drop = Arc::new(Scrub::new(value.extract::<Vec<String>>()?)),
            "redact" => settings.redact = Arc::new(Scrub::new(value.extract::<Vec<String>>()?)),
            "hooked" => settings.hooked = value.extract()?,
            "slow_ns" => settings.slow = std::time::Duration::from_nanos(value.extract()?),
            _ => return Err(PyTypeError::new_err(format!("a recorder has no setting {key:?}"))),
        }
    }
    Ok(settings)
}

/// Settings as a dict that [`changed`] takes.
pub(crate) fn described<'py>(py: Python<'py>, settings: &Recording) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("on", settings.on)?;
    all.set_item("max_calls", settings.max_calls)?;
    all.set_item("max_bytes", settings.max_bytes)?;
    all.set_item("max_payload", settings.max_payload)?;
    all.set_item("max_arrays", settings.max_arrays)?;
    all.set_item("calls_per_second", settings.calls_per_second)?;
    all.set_item("bytes_per_second", settings.bytes_per_second)?;
    all.set_item("drop", settings.drop.names())?;
    all.set_item("redact", settings.redact.names())?;
    all.set_item("hooked", settings.hooked)?;
    all.set_item("slow_ns", u64::try_from(settings.slow.as_nanos()).unwrap_or(u64::MAX))?;
    Ok(all)
}
