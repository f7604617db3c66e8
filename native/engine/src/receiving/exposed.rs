//! What the worker tells monitoring: the answer to `pycrust.metrics`.

use std::sync::atomic::Ordering;

use pycrust_protocol::Code;
use pycrust_protocol::limits::PROTOCOL_VERSION;
use pycrust_protocol::reserved::{MetricFamily, MetricKind, MetricSeries, Metrics};
use pycrust_transport::{Link, Usage, monotonic_ns};

use crate::engine::Engine;
use crate::measuring::cumulative::{BOUNDS_NS, STAGES, Totals};
use crate::measuring::wall_clock::unix_ns;
use crate::queueing::registry::Known;
use crate::queueing::scheduler::Phase;

/// Methods that were removed and are still told of.
const MAX_REMOVED: usize = 64;

type Labels = Vec<(String, String)>;

/// Collects families, of one endpoint.
struct Families<'a> {
    endpoint: &'a str,
    families: Vec<MetricFamily>,
}

/// One method, as of now.
struct Method {
    known: Known,
    in_flight: u64,
    totals: Totals,
}

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// Counts since the engine was made, and what is at the moment. Names of unknown methods and of clients are no
    /// labels: there is no bound to them.
    pub fn metrics(&self) -> Metrics {
        let (known, clients, queued, running, phase) = {
            let scheduler = self.scheduler.lock();
            let running = scheduler.running + scheduler.background;
            (scheduler.registry.known(), scheduler.clients.len(), scheduler.queued, running, scheduler.phase)
        };
        let methods = self.methods_told_of(known);
        let mut families = Families { endpoint: &self.config.endpoint, families: Vec::new() };
        calls(&mut families, &methods);
        let relaxed = Ordering::Relaxed;
        let (recorder, usage) = (self.recorder.stats(), Usage::now());
        let counts = [
            (
                "pycrust_unknown_method_calls",
                "Calls to names that no method has.",
                self.metrics.unknown_method_calls.load(relaxed),
            ),
            (
                "pycrust_malformed_frames",
                "Frames that broke the protocol.",
                self.metrics.malformed_frames.load(relaxed),
            ),
            ("pycrust_clients_connected", "Clients that have connected.", self.connection_log.arrivals()),
            ("pycrust_recorder_recorded_calls", "Calls that were recorded.", recorder.recorded),
            (
                "pycrust_recorder_skipped_calls",
                "Calls that sampling left out of the record.",
                recorder.skipped,
            ),
        ];
        for (name, help, value) in counts {
            families.one(name, MetricKind::Counter, help, value as f64);
        }
        families.one(
            "pycrust_worker_cpu_seconds",
            MetricKind::Counter,
            "Time of cores that the worker's process has taken.",
            usage.cpu.as_secs_f64(),
        );
        let gauges = [
            ("pycrust_clients", "Clients that are connected.", Some(clients as u64)),
            ("pycrust_queued_calls", "Calls that wait to be started.", Some(queued as u64)),
            (
                "pycrust_queued_bytes",
                "Bytes of arguments that wait in queues.",
                Some(self.queued_bytes() as u64),
            ),
            ("pycrust_running_calls", "Calls that are started and not answered.", Some(running as u64)),
            (
                "pycrust_max_in_flight_calls",
                "Calls that may be received and not yet answered.",
                Some(self.config.max_in_flight as u64),
            ),
            ("pycrust_recorder_calls", "Calls that the recorder holds.", Some(recorder.calls)),
            ("pycrust_recorder_bytes", "Bytes that they hold.", Some(recorder.bytes)),
            (
                "pycrust_worker_resident_memory_bytes",
                "Memory of the worker's process, with what it shares.",
                usage.resident_bytes,
            ),
            (
                "pycrust_worker_open_fds",
                "File descriptors that the worker's process has open.",
                usage.descriptors,
            ),
            ("pycrust_worker_max_fds", "File descriptors that it may have open.", usage.max_descriptors),
            ("pycrust_worker_threads", "Threads that serve the endpoint.", Some(self.live_threads() as u64)),
            (
                "pycrust_up",
                "Whether the endpoint serves: 0 while it stops.",
                Some(u64::from(phase == Phase::Serving)),
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                families.one(name, MetricKind::Gauge, help, value as f64);
            }
        }
        families.one(
            "pycrust_recorder_share",
            MetricKind::Gauge,
            "The share of ordinary calls that is recorded, 1 being all.",
            recorder.share,
        );
        self.life(&mut families);
        Metrics { families: families.families }
    }

    /// When it began, and what it is.
    fn life(&self, families: &mut Families<'_>) {
        let up_ns = match self.started_ns.load(Ordering::Relaxed) {
            0 => 0,
            started => monotonic_ns().saturating_sub(started),
        };
        if up_ns > 0 {
            families.one(
                "pycrust_worker_start_time_seconds",
                MetricKind::Gauge,
                "When it began to serve, in seconds since 1970.",
                unix_ns().saturating_sub(up_ns) as f64 / 1e9,
            );
        }
        let mut labels = families.labels(&[]);
        labels.push(("version".into(), env!("CARGO_PKG_VERSION").into()));
        labels.push(("protocol".into(), PROTOCOL_VERSION.to_string()));
        families.add(
            "pycrust_worker",
            MetricKind::Info,
            "What serves the endpoint.",
            vec![MetricSeries { labels, value: 1.0, ..MetricSeries::default() }],
        );
    }

    /// The live methods, and of the removed ones the latest that were called.
    fn methods_told_of(&self, known: Vec<Known>) -> Vec<Method> {
        let mut removed = 0;
        let mut methods = Vec::new();
        for known in known.into_iter().rev() {
            let Some(metrics) = self.metrics.method(known.index) else { continue };
            let (in_flight, totals) = metrics.totals();
            if !known.live {
                if removed == MAX_REMOVED || totals.all().next().is_none() {
                    continue;
                }
                removed += 1;
            }
            methods.push(Method { known, in_flight, totals });
        }
        methods.sort_by(|a, b| a.known.name.cmp(&b.known.name));
        methods
    }
}

/// What is told of each method.
fn calls(families: &mut Families<'_>, methods: &[Method]) {
    let (mut calls, mut in_flight, mut version, mut swaps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut round_trips, mut answered, mut stages) = (Vec::new(), Vec::new(), Vec::new());
    for Method { known, in_flight: now, totals } in methods {
        let of_method = families.labels(&[("method", &known.name)]);
        let plain = |value: f64| MetricSeries { labels: of_method.clone(), value, ..MetricSeries::default() };
        if known.live {
            version.push(plain(f64::from(known.last_number)));
        }
        swaps.push(plain(f64::from(known.last_number.saturating_sub(1))));
        in_flight.push(plain(*now as f64));
        for one in totals.all() {
            let mut labels = of_method.clone();
            labels.push(("version".into(), one.number.to_string()));
            for (code, count) in (0..).zip(one.codes).filter(|(_, count)| *count > 0) {
                let Some(code) = Code::from_u8(code) else { continue };
                let mut labels = labels.clone();
                labels.push(("code".into(), code.name().into()));
                calls.push(MetricSeries { labels, value: count as f64, ..MetricSeries::default() });
            }
            if !one.round_trip.is_empty() {
                round_trips.push(one.round_trip.series(labels.clone()));
            }
            // Nothing was measured of what no handler ran.
            if one.number == 0 {
                continue;
            }
            let exemplars = one.exemplars();
            answered.push(MetricSeries { exemplars, ..one.answered.series(labels.clone()) });
            for (durations, stage) in one.stages.iter().zip(STAGES) {
                let mut labels = labels.clone();
                labels.push(("stage".into(), stage.into()));
                stages.push(durations.series(labels));
            }
        }
    }
    families.add(
        "pycrust_calls",
        MetricKind::Counter,
        "Calls answered, by gRPC's code; version 0 are those that were refused before a handler ran.",
        calls,
    );
    families.add(
        "pycrust_calls_in_flight",
        MetricKind::Gauge,
        "Calls received and not yet answered.",
        in_flight,
    );
    families.add("pycrust_method_version", MetricKind::Gauge, "The live version of the method.", version);
    families.add("pycrust_swaps", MetricKind::Counter, "Versions that have replaced another.", swaps);
    families.add(
        "pycrust_call_duration_seconds",
        MetricKind::Histogram,
        "Round trips as the Rust clients measured them.",
        round_trips,
    );
    families.add(
        "pycrust_call_answered_seconds",
        MetricKind::Histogram,
        "From the caller's sending to the answer, as the worker measured it.",
        answered,
    );
    families.add(
        "pycrust_call_stage_seconds",
        MetricKind::Histogram,
        "Where that time went, and the way back.",
        stages,
    );
}

impl Families<'_> {
    /// The endpoint's labels, and these.
    fn labels(&self, more: &[(&str, &str)]) -> Labels {
        let all = [("endpoint", self.endpoint)].into_iter().chain(more.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A metric with one value.
    fn one(&mut self, name: &str, kind: MetricKind, help: &str, value: f64) {
        let labels = self.labels(&[]);
        self.add(name, kind, help, vec![MetricSeries { labels, value, ..MetricSeries::default() }]);
    }

    fn add(&mut self, name: &str, kind: MetricKind, help: &str, series: Vec<MetricSeries>) {
        let bounds = match kind {
            MetricKind::Histogram => BOUNDS_NS.iter().map(|bound| *bound as f64 / 1e9).collect(),
            MetricKind::Counter | MetricKind::Gauge | MetricKind::Info => Vec::new(),
        };
        self.families.push(MetricFamily { name: name.into(), kind, help: help.into(), bounds, series });
    }
}
