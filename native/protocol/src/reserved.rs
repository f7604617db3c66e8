//! The methods under `pycrust.` that the worker answers itself, and what they answer.

use serde::{Deserialize, Serialize};

use crate::error::Malformed;

pub use crate::traffic::{TrafficCall, TrafficPage, TrafficQuery, TrafficStages};

/// `pycrust.health`: is the worker there?
pub const HEALTH: &str = "pycrust.health";
/// `pycrust.methods`: what can be called?
pub const METHODS: &str = "pycrust.methods";
/// `pycrust.stats`: how is it going?
pub const STATS: &str = "pycrust.stats";
/// `pycrust.traffic`: which calls were recorded? Its arguments are `after`, the number of the last call that is known
/// already, and `most`, how many are wanted.
pub const TRAFFIC: &str = "pycrust.traffic";
/// `pycrust.metrics`: what was counted since the worker began, for whoever keeps it?
pub const METRICS: &str = "pycrust.metrics";
/// `pycrust.interpreter`: can the interpreter be had?
pub const INTERPRETER: &str = "pycrust.interpreter";
/// `pycrust.ready`: can it answer? Its arguments are `[method, bin]`, the MessagePack of that method's arguments:
/// the method is run as by any call, and its answer is the answer.
pub const READY: &str = "pycrust.ready";

/// The method that `pycrust.ready` is to run, and its arguments.
///
/// # Errors
/// What is wrong with the payload.
pub fn ready_arguments(payload: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let wrong = |_| Malformed::new(0, "the arguments of pycrust.ready are [method, bin]");
    let (method, arguments): (&str, &serde_bytes::Bytes) = rmp_serde::from_slice(payload).map_err(wrong)?;
    Ok((method, arguments))
}

/// The answer to `pycrust.health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `serving`, or `stopping` while the worker drains.
    pub status: String,
    /// The endpoint.
    pub endpoint: String,
    /// The worker's process.
    pub pid: u32,
    /// Tells this worker's life from any other's.
    pub generation: u64,
    /// Nanoseconds since it began to serve.
    pub uptime_ns: u64,
    /// Nanoseconds for which a call that is started has been waiting for the interpreter; 0 if none is.
    #[serde(default)]
    pub waiting_ns: u64,
}

/// The answer to `pycrust.interpreter`. The question has a thread of the worker's ask for the interpreter, unless one waits
/// already: who asks again a moment later knows whether it could be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// Nanoseconds for which a thread of the worker's has waited for the interpreter; 0 if none waits.
    pub waits_ns: u64,
}

/// One entry of the answer to `pycrust.methods`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodInfo {
    /// The method's name.
    pub name: String,
    /// The live version, from 1.
    pub version: u32,
    /// The hash of its schema.
    pub schema_hash: u64,
    /// The first line of the handler's documentation.
    pub doc: String,
    /// The JSON Schemas `{"request": …, "response": …}` as JSON text.
    pub schema: String,
}

/// Percentiles of a recent window, in nanoseconds. All zero where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half were faster.
    pub p50_ns: u64,
    /// 90 of 100 were faster.
    pub p90_ns: u64,
    /// 99 of 100 were faster.
    pub p99_ns: u64,
    /// 999 of 1,000 were faster.
    pub p999_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

/// Where the time of a method's recent calls went: the percentiles of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePercentiles {
    /// On the way to the worker.
    pub transit: Percentiles,
    /// In the worker's queue.
    pub queue: Percentiles,
    /// Waiting for the interpreter.
    pub interpreter: Percentiles,
    /// Decoding and validating.
    pub decode: Percentiles,
    /// In the handler.
    pub handler: Percentiles,
    /// Serialising and encoding.
    pub encode: Percentiles,
    /// On the way back, as the client measured it.
    pub back: Percentiles,
}

/// One method's part of the answer to `pycrust.stats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodStats {
    /// The method's name.
    pub name: String,
    /// The live version.
    pub version: u32,
    /// Calls answered since the worker began, errors included.
    pub calls: u64,
    /// Of these, the ones that ended in an error.
    pub errors: u64,
    /// Errors by their code: pairs of code and count.
    pub by_code: Vec<(u8, u64)>,
    /// Calls received and not yet answered.
    pub in_flight: u64,
    /// Calls that may run at once.
    #[serde(default)]
    pub concurrency: u64,
    /// Answers of each version: pairs of version and count.
    pub by_version: Vec<(u32, u64)>,
    /// Round trips as the clients measured them.
    pub round_trip: Percentiles,
    /// Where the time went.
    pub stages: StagePercentiles,
}

/// One connected client in the answer to `pycrust.stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStats {
    /// The connection's number.
    pub connection: u64,
    /// The client's process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Its calls in flight.
    pub in_flight: u64,
    /// Frames of it whose arrays somebody in the worker still looks at.
    #[serde(default)]
    pub views: u64,
    /// Frames of it whose arrays were copied since there were too many of those.
    #[serde(default)]
    pub copied: u64,
    /// Answers to it that were sent where their arrays were built.
    #[serde(default)]
    pub sent_in_place: u64,
    /// Nanoseconds between two ticks of it; 0 if it has no rhythm.
    #[serde(default)]
    pub period_ns: u64,
    /// Calls of it for which the worker was awake in time.
    #[serde(default)]
    pub hits: u64,
    /// Times that the worker was awake for a call that did not come.
    #[serde(default)]
    pub misses: u64,
    /// Nanoseconds of a core that this took.
    #[serde(default)]
    pub awake_ns: u64,
}

/// The recorder's part of the answer to `pycrust.stats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RecorderStats {
    /// Whether calls are recorded.
    pub on: bool,
    /// Calls that it holds.
    pub calls: u64,
    /// Bytes that they hold.
    pub bytes: u64,
    /// Calls recorded since the worker began.
    pub recorded: u64,
    /// Calls that were left out by sampling.
    pub skipped: u64,
    /// The share of ordinary calls that is recorded at the moment, 1.0 being all.
    pub share: f64,
    /// The number of the last recorded call.
    pub last: u64,
}

/// One of the last comings and goings of clients in the answer to `pycrust.stats`, or, as connection 0, something that
/// happened to the worker itself and that its user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// Whether the client came; it went otherwise.
    pub came: bool,
    /// The connection's number.
    pub connection: u64,
    /// The client's process; 0 if it is in another PID namespace.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Why it went, or what happened.
    pub reason: String,
}

/// The answer to `pycrust.stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointStats {
    /// The endpoint.
    pub endpoint: String,
    /// The worker's process.
    pub pid: u32,
    /// Nanoseconds since it began to serve; 0 before.
    pub uptime_ns: u64,
    /// `CLOCK_MONOTONIC` nanoseconds of this snapshot, for rates between two of them.
    pub at_ns: u64,
    /// Every registered method, in order of its name.
    pub methods: Vec<MethodStats>,
    /// Round trips of all methods together, as the clients measured them.
    pub round_trip: Percentiles,
    /// The same of the last one to two seconds alone.
    pub latest: Percentiles,
    /// All methods' waits for the interpreter.
    pub interpreter: Percentiles,
    /// How long the thread that receives polls before it sleeps, nanoseconds; 0 if it sleeps at once.
    pub spin_ns: u64,
    /// Whether the thread that waits for a client with a rhythm leaves it its core (`auto`), or sleeps where the kernel
    /// wants it (`kernel`).
    #[serde(default)]
    pub placement: String,
    /// Every connected client.
    pub clients: Vec<ClientStats>,
    /// The last clients that came or went, the oldest first.
    pub visits: Vec<Visit>,
    /// Calls to names that no method has.
    pub unknown_method_calls: u64,
    /// Frames that broke the specification.
    pub malformed_frames: u64,
    /// How recording is doing; a worker that records nothing may leave it out.
    #[serde(default)]
    pub recorder: RecorderStats,
}

/// The answer to `pycrust.metrics`: counts since the worker began, in the model of Prometheus and OpenMetrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Each metric once.
    pub families: Vec<MetricFamily>,
}

/// One metric, with all that is told apart by labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricFamily {
    /// Its name, without what the text formats append to it: `pycrust_calls`, not `pycrust_calls_total`.
    pub name: String,
    /// How its values behave.
    pub kind: MetricKind,
    /// What it says, in a line.
    pub help: String,
    /// Of a histogram: the upper bounds of its buckets, ascending, without the infinite one.
    #[serde(default)]
    pub bounds: Vec<f64>,
    /// The values.
    pub series: Vec<MetricSeries>,
}

/// How a metric's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Says something by its labels alone.
    Info,
}

/// One value, or one histogram.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricSeries {
    /// What tells it from others: pairs of name and value.
    pub labels: Vec<(String, String)>,
    /// The value; of a histogram, the sum of what was measured.
    pub value: f64,
    /// Of a histogram: how many fell into each bucket alone, the infinite one last.
    #[serde(default)]
    pub counts: Vec<u64>,
    /// Of a histogram: a call of each bucket that had a trace.
    #[serde(default)]
    pub exemplars: Vec<Exemplar>,
}

/// A call that fell into a bucket of a histogram, and can be found by its trace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// The bucket, from 0.
    pub bucket: u32,
    /// The trace: 32 hexadecimal digits.
    pub trace_id: String,
    /// The caller's span: 16 hexadecimal digits.
    pub span_id: String,
    /// What was measured.
    pub value: f64,
    /// When: seconds since 1970.
    pub at: f64,
}
