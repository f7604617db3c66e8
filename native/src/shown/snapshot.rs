//! The engine's own answers as Python objects.

use pycrust_protocol::reserved::{ClientStats, EndpointStats, MethodStats, Percentiles};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::values::decode;

/// `answer` as dicts, lists and numbers: through MessagePack, as a caller would get it.
pub(crate) fn to_python<'py, T: serde::Serialize>(
    py: Python<'py>,
    answer: &T,
) -> PyResult<Bound<'py, PyAny>> {
    let payload =
        rmp_serde::to_vec_named(answer).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(decode::decode(py, &payload)?)
}

/// The statistics as whoever looks many times a second reads them: a flat row of numbers for each method.
pub(crate) fn glance<'py>(py: Python<'py>, stats: &EndpointStats) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    let ends = |times: &Percentiles| [times.p50_ns, times.p99_ns];
    all.set_item("endpoint", &stats.endpoint)?;
    all.set_item("pid", stats.pid)?;
    all.set_item("names", stats.methods.iter().map(|method| method.name.as_str()).collect::<Vec<_>>())?;
    all.set_item("rows", stats.methods.iter().map(row).collect::<Vec<_>>())?;
    all.set_item("up", stats.uptime_ns / 1_000_000)?;
    all.set_item("clients", stats.clients.len())?;
    all.set_item("spin", stats.spin_ns)?;
    all.set_item("rhythm", rhythm(&stats.clients))?;
    all.set_item("trip", ends(&stats.round_trip))?;
    all.set_item("wait", ends(&stats.interpreter))?;
    all.set_item("latest", ends(&stats.latest))?;
    all.set_item("unknown", stats.unknown_method_calls)?;
    all.set_item("malformed", stats.malformed_frames)?;
    all.set_item("visit", stats.visits.last().map_or(0, |visit| visit.at_ns))?;
    let recorder = PyDict::new(py);
    recorder.set_item("on", stats.recorder.on)?;
    recorder.set_item("calls", stats.recorder.calls)?;
    recorder.set_item("share", stats.recorder.share)?;
    recorder.set_item("last", stats.recorder.last)?;
    all.set_item("recorder", recorder)?;
    Ok(all)
}

/// Clients with a rhythm; calls for which a thread was awake in time, and times that it was and none came; and the
/// milliseconds that it was awake for them.
fn rhythm(clients: &[ClientStats]) -> [u64; 4] {
    let sum = |of: fn(&ClientStats) -> u64| clients.iter().map(of).sum::<u64>();
    [
        sum(|client| u64::from(client.period_ns > 0)),
        sum(|client| client.hits),
        sum(|client| client.misses),
        sum(|client| client.awake_ns) / 1_000_000,
    ]
}

/// Version, calls, errors and calls in flight; the round trip's percentiles and maximum, then each stage's median,
/// in nanoseconds. `src/state.js` of the live view reads this order.
fn row(method: &MethodStats) -> [u64; 16] {
    let (trip, stages) = (&method.round_trip, &method.stages);
    [
        method.version.into(),
        method.calls,
        method.errors,
        method.in_flight,
        trip.p50_ns,
        trip.p90_ns,
        trip.p99_ns,
        trip.p999_ns,
        trip.max_ns,
        stages.transit.p50_ns,
        stages.queue.p50_ns,
        stages.interpreter.p50_ns,
        stages.decode.p50_ns,
        stages.handler.p50_ns,
        stages.encode.p50_ns,
        stages.back.p50_ns,
    ]
}
