//! What is counted and measured of each method.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use pycrust_protocol::Code;
use pycrust_protocol::header::{Stages, TraceContext};
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{MethodStats, Percentiles, StagePercentiles};
use pycrust_transport::sync::{Mutex, RwLock};

use crate::measuring::cumulative::Totals;
use crate::measuring::window::{Half, Window};

/// Nanoseconds that each of the two halves of the recent window collects.
const HALF_NS: u64 = 5_000_000_000;
/// The same for the latest round trips of all methods.
const LATEST_NS: u64 = 1_000_000_000;
/// Longer times count as this: an hour. It bounds a histogram's memory, whatever a client reports.
const MAX_NS: u64 = 3_600_000_000_000;
/// Versions of one method whose counts are kept, the newest ones.
const MAX_VERSIONS: usize = 64;
/// Reports that are read from one frame. A small sample has room for fewer.
pub(crate) const MAX_REPORTS: usize = 1024;

/// The measurements of every method, and the counts that belong to none.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By the method's index, which is its number less 1.
    methods: RwLock<Vec<Arc<MethodMetrics>>>,
    /// The round trips of the last one to two seconds, of all methods. A batch of reports takes the lock once.
    latest: Mutex<Option<Box<Window<Times>>>>,
    /// Calls to names that no method has.
    pub(crate) unknown_method_calls: AtomicU64,
    /// Frames that broke the specification.
    pub(crate) malformed_frames: AtomicU64,
}

/// One method's counts and measurements.
#[derive(Default)]
pub(crate) struct MethodMetrics {
    /// Calls received and not yet answered.
    in_flight: AtomicU64,
    /// Everything else. Held for well under a microsecond, except by a reader of percentiles.
    inner: Mutex<Inner>,
}

/// What the lock of [`MethodMetrics`] protects.
#[derive(Default)]
struct Inner {
    /// Calls answered.
    calls: u64,
    /// Of these, the ones that ended in an error.
    errors: u64,
    /// Errors by their code.
    by_code: BTreeMap<u8, u64>,
    /// Answers of each version.
    by_version: BTreeMap<u32, u64>,
    /// The times of the last 5 to 10 seconds; made at the first call.
    recent: Option<Box<Window<Stretch>>>,
    /// What never is forgotten, for monitoring.
    totals: Totals,
}

/// Times in nanoseconds.
struct Times(Histogram<u32>);

/// The times of one method's calls, as the client and the worker measured them.
#[derive(Default)]
struct Stretch {
    round_trip: Times,
    back: Times,
    transit: Times,
    queue: Times,
    interpreter: Times,
    decode: Times,
    handler: Times,
    encode: Times,
}

/// All methods together.
#[derive(Default)]
pub(crate) struct Total {
    round_trip: Times,
    interpreter: Times,
}

impl Metrics {
    /// Makes room for the method with this index.
    pub(crate) fn ensure(&self, index: usize) {
        let mut methods = self.methods.write();
        while methods.len() <= index {
            methods.push(Arc::default());
        }
    }

    pub(crate) fn method(&self, index: usize) -> Option<Arc<MethodMetrics>> {
        self.methods.read().get(index).cloned()
    }

    /// Takes what a client measured. Numbers that can't be are skipped and count as malformed.
    pub(crate) fn reported(&self, reports: &[u8], now_ns: u64) {
        let mut bad = 0;
        let mut latest = self.latest.lock();
        for report in Report::read_all(reports).take(MAX_REPORTS) {
            let plausible =
                u64::from(report.return_ns) <= report.round_trip_ns && Code::from_u8(report.status).is_some();
            // Number 0 is an answer that no method gave: the worker's own.
            let method = match (report.method_key as usize).checked_sub(1) {
                None if plausible => continue,
                Some(index) if plausible => self.method(index),
                _ => None,
            };
            match method {
                Some(method) => {
                    method.reported(&report, now_ns);
                    let latest = latest.get_or_insert_with(|| Box::new(Window::new(LATEST_NS, now_ns)));
                    latest.current(now_ns).add(report.round_trip_ns);
                }
                None => bad += 1,
            }
        }
        drop(latest);
        if bad > 0 {
            self.malformed_frames.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The round trips of the last one to two seconds.
    pub(crate) fn latest(&self, now_ns: u64) -> Percentiles {
        let mut latest = self.latest.lock();
        let Some(latest) = latest.as_mut() else { return Percentiles::default() };
        percentiles(latest.halves(now_ns).each_ref())
    }
}

impl Total {
    /// Round trips and waits for the interpreter.
    pub(crate) fn percentiles(&self) -> (Percentiles, Percentiles) {
        (self.round_trip.percentiles(), self.interpreter.percentiles())
    }
}

impl MethodMetrics {
    pub(crate) fn received(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The call was dropped with its client: it counts as neither answered nor in flight.
    pub(crate) fn dropped(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// A call was answered before it was started.
    pub(crate) fn refused(&self, code: Code) {
        self.dropped();
        let mut inner = self.inner.lock();
        inner.calls += 1;
        inner.failed(code);
        inner.totals.refused(code);
    }

    /// A call was run by `version`.
    pub(crate) fn ran(&self, version: u32, status: Code, stages: &Stages, trace: &TraceContext, now_ns: u64) {
        self.dropped();
        let mut inner = self.inner.lock();
        inner.calls += 1;
        if status != Code::Ok {
            inner.failed(status);
        }
        *inner.by_version.entry(version).or_default() += 1;
        if inner.by_version.len() > MAX_VERSIONS {
            inner.by_version.pop_first();
        }
        inner.totals.ran(version, status, stages, trace);
        let times = inner.times(now_ns);
        times.transit.add(stages.transit_ns);
        times.queue.add(stages.queue_ns);
        times.interpreter.add(stages.interpreter_ns);
        times.decode.add(stages.decode_ns);
        times.handler.add(stages.handler_ns);
        times.encode.add(stages.encode_ns);
    }

    /// A client told how long a call took.
    fn reported(&self, report: &Report, now_ns: u64) {
        let mut inner = self.inner.lock();
        let times = inner.times(now_ns);
        times.round_trip.add(report.round_trip_ns);
        times.back.add(u64::from(report.return_ns));
        inner.totals.reported(report.version, report.round_trip_ns, u64::from(report.return_ns));
    }

    /// Calls in flight, and the counts since the worker began.
    pub(crate) fn totals(&self) -> (u64, Totals) {
        (self.in_flight.load(Ordering::Relaxed), self.inner.lock().totals.clone())
    }

    /// The method's part of the statistics, without its name and live version; adds to the `total`.
    pub(crate) fn stats(&self, now_ns: u64, total: &mut Total) -> MethodStats {
        let mut inner = self.inner.lock();
        let mut stats = MethodStats {
            calls: inner.calls,
            errors: inner.errors,
            by_code: inner.by_code.iter().map(|(code, count)| (*code, *count)).collect(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            by_version: inner.by_version.iter().map(|(version, count)| (*version, *count)).collect(),
            ..MethodStats::default()
        };
        if let Some(recent) = &mut inner.recent {
            let halves = recent.halves(now_ns).each_ref();
            for half in halves {
                total.round_trip.join(&half.round_trip);
                total.interpreter.join(&half.interpreter);
            }
            let of = |pick: fn(&Stretch) -> &Times| percentiles(halves.map(pick));
            stats.round_trip = of(|half| &half.round_trip);
            stats.stages = StagePercentiles {
                transit: of(|half| &half.transit),
                queue: of(|half| &half.queue),
                interpreter: of(|half| &half.interpreter),
                decode: of(|half| &half.decode),
                handler: of(|half| &half.handler),
                encode: of(|half| &half.encode),
                back: of(|half| &half.back),
            };
        }
        stats
    }
}

impl Inner {
    fn failed(&mut self, code: Code) {
        self.errors += 1;
        *self.by_code.entry(code as u8).or_default() += 1;
    }

    /// Where to add times now.
    fn times(&mut self, now_ns: u64) -> &mut Stretch {
        self.recent.get_or_insert_with(|| Box::new(Window::new(HALF_NS, now_ns))).current(now_ns)
    }
}

impl Half for Stretch {
    fn clear(&mut self) {
        for times in [
            &mut self.round_trip,
            &mut self.back,
            &mut self.transit,
            &mut self.queue,
            &mut self.interpreter,
            &mut self.decode,
            &mut self.handler,
            &mut self.encode,
        ] {
            times.clear();
        }
    }
}

impl Half for Times {
    fn clear(&mut self) {
        self.0.reset();
    }
}

impl Default for Times {
    /// None; the histogram has two significant digits and grows with what is added.
    fn default() -> Self {
        let mut histogram = Histogram::new_with_bounds(1, 2, 2)
            .unwrap_or_else(|error| unreachable!("1, 2 and 2 are valid bounds: {error}"));
        histogram.auto(true);
        Self(histogram)
    }
}

impl Times {
    fn add(&mut self, value_ns: u64) {
        // Fails only for values above the range, which grows by itself up to the cut.
        let _ = self.0.record(value_ns.min(MAX_NS));
    }

    fn join(&mut self, other: &Self) {
        // Fails only where this one can't grow, and it can.
        let _ = self.0.add(&other.0);
    }

    fn percentiles(&self) -> Percentiles {
        let times = &self.0;
        if times.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: times.len(),
            p50_ns: times.value_at_quantile(0.5),
            p90_ns: times.value_at_quantile(0.9),
            p99_ns: times.value_at_quantile(0.99),
            p999_ns: times.value_at_quantile(0.999),
            max_ns: times.max(),
        }
    }
}

/// The percentiles of both halves together.
fn percentiles(halves: [&Times; 2]) -> Percentiles {
    let [current, before] = halves;
    let mut both = Times(current.0.clone());
    both.join(before);
    both.percentiles()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn stages(handler_ns: u64) -> Stages {
        Stages { handler_ns, ..Stages::default() }
    }

    #[test]
    fn percentiles_keep_two_digits() {
        let metrics = MethodMetrics::default();
        for micros in 1..=1000 {
            metrics.received();
            metrics.ran(1, Code::Ok, &stages(micros * 1000), &TraceContext::default(), SECOND);
        }
        let handler = metrics.stats(SECOND, &mut Total::default()).stages.handler;
        assert_eq!(handler.count, 1000);
        for (measured, exact) in
            [(handler.p50_ns, 500_000), (handler.p99_ns, 990_000), (handler.max_ns, 1_000_000)]
        {
            assert!(measured.abs_diff(exact) <= exact / 100, "{measured} is not {exact}");
        }
    }

    #[test]
    fn the_window_forgets_and_the_totals_do_not() {
        let metrics = MethodMetrics::default();
        for at in [1, 4, 7] {
            metrics.received();
            metrics.ran(at as u32, Code::Unknown, &stages(1), &TraceContext::default(), at * SECOND);
        }
        assert_eq!(metrics.stats(7 * SECOND, &mut Total::default()).stages.handler.count, 3);
        assert_eq!(metrics.stats(12 * SECOND, &mut Total::default()).stages.handler.count, 1);
        let stats = metrics.stats(30 * SECOND, &mut Total::default());
        assert_eq!(stats.stages.handler, Percentiles::default());
        assert_eq!((stats.calls, stats.errors, stats.in_flight), (3, 3, 0));
        assert_eq!(stats.by_version, [(1, 1), (4, 1), (7, 1)]);
    }

    #[test]
    fn reports_are_checked() {
        let metrics = Metrics::default();
        metrics.ensure(0);
        let good =
            Report { id: 1, round_trip_ns: 20_000, return_ns: 5_000, method_key: 1, version: 1, status: 0 };
        let mut bytes = Vec::new();
        for report in [
            good,
            Report { method_key: 0, ..good },
            Report { method_key: 2, ..good },
            Report { method_key: u32::MAX, ..good },
            Report { status: 17, ..good },
            Report { return_ns: 20_001, ..good },
            Report { round_trip_ns: u64::MAX, ..good },
        ] {
            report.put(&mut bytes);
        }
        metrics.reported(&bytes, SECOND);
        let stats =
            metrics.method(0).map(|method| method.stats(SECOND, &mut Total::default())).unwrap_or_default();
        assert_eq!((stats.round_trip.count, stats.stages.back.count), (2, 2));
        assert_eq!(metrics.malformed_frames.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_latest_round_trips_are_forgotten_within_two_seconds() {
        let metrics = Metrics::default();
        metrics.ensure(0);
        let mut bytes = Vec::new();
        let report =
            Report { id: 1, round_trip_ns: 20_000, return_ns: 5_000, method_key: 1, version: 1, status: 0 };
        report.put(&mut bytes);
        metrics.reported(&bytes, SECOND);
        assert_eq!(metrics.latest(SECOND).count, 1);
        metrics.reported(&bytes, 2 * SECOND);
        assert_eq!(metrics.latest(2 * SECOND).count, 2);
        assert_eq!(metrics.latest(3 * SECOND).count, 1);
        assert_eq!(metrics.latest(5 * SECOND).count, 0);
    }
}
