//! One call over and over, to see how long it takes: from a loop of its own, by a schedule if one is wanted.
//!
//! With a rate, each call has a time at which it is due, and how long it took is counted from there. So an answer that is
//! late makes those calls late that were due meanwhile, and they are counted as that: leaving them out ("coordinated
//! omission") would show a system that stalls as a fast one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use pycrust_transport::monotonic_ns;
use pycrust_transport::sync::Mutex;
use serde::Serialize;

use crate::binding::{CallOptions, Client, Value, block_on};
use crate::call::outgoing::Encoded;
use crate::connection::connector::inherited;
use crate::connection::timer::Sleep;
use crate::error::Error;
use crate::timing::Timing;

/// Longer times count as this: an hour.
const MAX_NS: u64 = 3_600_000_000_000;
/// How long before a call is due its task is awake, at most: this, or a tenth of the time between two.
const EARLY_NS: u64 = 100_000;
/// A call counts as sent late that is sent so much later than due.
const LATE_NS: u64 = 1_000_000;
/// Tasks that call, at most.
const MAX_TASKS: usize = 16_384;
/// What [`Timing`] has.
const STAGES: [&str; 8] =
    ["round_trip", "transit", "queue", "interpreter", "decode", "handler", "encode", "return"];

/// How often to call, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How long new calls are made.
    pub time: Duration,
    /// The time between two calls of all tasks; without it, each task calls as soon as it has its answer.
    pub period: Option<Duration>,
    /// Calls at the same time, at most.
    pub concurrency: usize,
    /// Calls in all, if they are fewer than the time allows.
    pub calls: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Calls that were sent.
    pub sent: u64,
    /// Of these, the ones that were answered well.
    pub ok: u64,
    /// The others, by their code's name.
    pub errors: BTreeMap<String, u64>,
    /// The first error's message.
    pub first_error: Option<String>,
    /// Calls that were due and never sent, since all tasks waited for answers. They count as taking until the end.
    pub unsent: u64,
    /// Calls that were sent more than a millisecond after they were due.
    pub late: u64,
    /// Answers of each version.
    pub versions: BTreeMap<u32, u64>,
    /// Nanoseconds from the first call to the last answer.
    pub took_ns: u64,
    /// From when a call was due to its answer; without a rate, from its sending. Calls that were answered well, and those
    /// that were never sent.
    pub latency: Spread,
    /// From a call's sending to its answer.
    pub service: Spread,
    /// The round trip as it is reported to the worker, and where that time went: pairs of a stage's name and its times.
    pub stages: Vec<(String, Spread)>,
}

/// Times in nanoseconds, to three digits.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: f64,
    /// Half were shorter.
    pub p50_ns: u64,
    /// 90 of 100 were shorter.
    pub p90_ns: u64,
    /// 99 of 100 were shorter.
    pub p99_ns: u64,
    /// 999 of 1,000 were shorter.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// How many there are of each size: pairs of the longest time that counts as it, and their number.
    pub buckets: Vec<(u64, u64)>,
}

/// What the tasks share.
struct Shared {
    method: String,
    arguments: Encoded,
    options: CallOptions,
    load: Load,
    begun_ns: u64,
    /// The next call's number.
    next: AtomicU64,
    /// Nobody waits for the end any more.
    given_up: AtomicBool,
}

/// What one task has seen.
struct Seen {
    ok: u64,
    errors: BTreeMap<String, u64>,
    first_error: Option<(u64, String)>,
    late: u64,
    versions: BTreeMap<u32, u64>,
    last_ns: u64,
    latency: Histogram<u64>,
    service: Histogram<u64>,
    stages: [Histogram<u64>; STAGES.len()],
}

/// Ends what is going on when nobody waits for it any more.
struct GivesUp(Arc<Shared>);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Relaxed);
    }
}

impl Client {
    /// Calls one method as `load` says, and measures; `None` once `keep_waiting` says no.
    ///
    /// # Errors
    /// If this process is a forked child. What becomes of the calls is counted.
    pub fn load(
        &self,
        method: String,
        arguments: Value,
        options: CallOptions,
        load: Load,
        keep_waiting: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Measured>, Error> {
        if !self.runtime.is_here() {
            return Err(inherited(&method));
        }
        let shared = Arc::new(Shared {
            method,
            arguments: arguments.into(),
            options,
            load,
            begun_ns: monotonic_ns(),
            next: AtomicU64::new(0),
            given_up: AtomicBool::new(false),
        });
        let _gives_up = GivesUp(Arc::clone(&shared));
        let tasks: Vec<_> = (0..load.concurrency.clamp(1, MAX_TASKS))
            .map(|_| {
                let (client, shared, seen) =
                    (self.clone(), Arc::clone(&shared), Arc::new(Mutex::new(Seen::new())));
                let task = Arc::clone(&seen);
                (self.runtime.spawn(async move { work(&client, &shared, &task).await }), seen)
            })
            .collect();
        let mut all = Seen::new();
        for (task, seen) in tasks {
            let Some(ended) = block_on(&self.runtime, task, keep_waiting)? else { return Ok(None) };
            // A task that has panicked has said so, and what it has seen until then counts.
            let _: Result<(), _> = ended;
            all.join(&seen.lock());
        }
        Ok(Some(shared.measured(all)))
    }
}

/// Makes calls until there are no more to make.
async fn work(client: &Client, shared: &Shared, seen: &Mutex<Seen>) {
    while let Some(due_ns) = shared.next_due() {
        shared.wait_for(due_ns).await;
        let sent_ns = monotonic_ns();
        // Without a schedule, a call is due when it is sent.
        let due_ns = if shared.period_ns().is_some() { due_ns } else { sent_ns };
        let request = client.request(&shared.method, shared.options.clone());
        let answer = request.send_raw(shared.arguments.clone()).await;
        let now_ns = monotonic_ns();
        let mut seen = seen.lock();
        seen.last_ns = now_ns;
        seen.late += u64::from(sent_ns.saturating_sub(due_ns) > LATE_NS);
        match answer {
            Ok(finished) => {
                let (timing, version) = (finished.timing(), finished.header.version);
                seen.answered(now_ns.saturating_sub(due_ns), now_ns.saturating_sub(sent_ns), timing, version);
            }
            Err(error) => seen.failed(now_ns, &error),
        }
    }
}

impl Shared {
    /// When the next call is due, which this task makes; `None` is never.
    fn next_due(&self) -> Option<u64> {
        let over = monotonic_ns().saturating_sub(self.begun_ns) >= nanos(self.load.time);
        if over || self.given_up.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.planned() {
            self.next.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(self.period_ns().map_or(0, |period_ns| self.due_ns(number, period_ns)))
    }

    /// Calls that are made, if all is well.
    fn planned(&self) -> u64 {
        let most = self.load.calls.unwrap_or(u64::MAX);
        // As many as are due before the end.
        self.period_ns().map_or(most, |period_ns| most.min(nanos(self.load.time).div_ceil(period_ns)))
    }

    fn period_ns(&self) -> Option<u64> {
        self.load.period.map(|period| nanos(period).max(1))
    }

    fn due_ns(&self, number: u64, period_ns: u64) -> u64 {
        self.begun_ns.saturating_add(number.saturating_mul(period_ns))
    }

    /// Waits until a call is due. Sleeping alone would end some tens of microseconds too late.
    async fn wait_for(&self, due_ns: u64) {
        let wake_ns = due_ns.saturating_sub(EARLY_NS.min(self.period_ns().unwrap_or(0) / 10));
        if wake_ns > monotonic_ns() {
            Sleep::until(wake_ns).await;
        }
        while monotonic_ns() < due_ns {
            // Answers are taken meanwhile.
            tokio::task::yield_now().await;
        }
    }

    fn measured(&self, mut all: Seen) -> Measured {
        let sent = self.next.load(Ordering::Relaxed);
        let end_ns = all.last_ns.max(self.begun_ns);
        let mut unsent = 0;
        if let Some(period_ns) = self.period_ns() {
            for number in sent..self.planned() {
                unsent += 1;
                record(&mut all.latency, end_ns.saturating_sub(self.due_ns(number, period_ns)));
            }
        }
        Measured {
            sent,
            ok: all.ok,
            errors: all.errors,
            first_error: all.first_error.map(|(_, message)| message),
            unsent,
            late: all.late,
            versions: all.versions,
            took_ns: end_ns - self.begun_ns,
            latency: spread(&all.latency),
            service: spread(&all.service),
            stages: STAGES
                .iter()
                .zip(&all.stages)
                .map(|(name, times)| ((*name).to_owned(), spread(times)))
                .collect(),
        }
    }
}

impl Seen {
    fn new() -> Self {
        Self {
            ok: 0,
            errors: BTreeMap::new(),
            first_error: None,
            late: 0,
            versions: BTreeMap::new(),
            last_ns: 0,
            latency: histogram(),
            service: histogram(),
            stages: [(); STAGES.len()].map(|()| histogram()),
        }
    }

    fn answered(&mut self, latency_ns: u64, service_ns: u64, timing: Timing, version: u32) {
        self.ok += 1;
        *self.versions.entry(version).or_default() += 1;
        record(&mut self.latency, latency_ns);
        record(&mut self.service, service_ns);
        let Timing { round_trip, transit, queue, interpreter, decode, handler, encode, back, .. } = timing;
        for (times, time) in self.stages.iter_mut().zip([
            round_trip,
            transit,
            queue,
            interpreter,
            decode,
            handler,
            encode,
            back,
        ]) {
            record(times, nanos(time));
        }
    }

    fn failed(&mut self, now_ns: u64, error: &Error) {
        *self.errors.entry(error.code().name().to_owned()).or_default() += 1;
        self.first_error.get_or_insert_with(|| (now_ns, error.message().to_owned()));
    }

    fn join(&mut self, other: &Self) {
        self.ok += other.ok;
        self.late += other.late;
        self.last_ns = self.last_ns.max(other.last_ns);
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        for (version, count) in &other.versions {
            *self.versions.entry(*version).or_default() += count;
        }
        let first = [self.first_error.take(), other.first_error.clone()].into_iter().flatten();
        self.first_error = first.min_by_key(|(at_ns, _)| *at_ns);
        let pairs = [(&mut self.latency, &other.latency), (&mut self.service, &other.service)];
        for (own, others) in pairs.into_iter().chain(self.stages.iter_mut().zip(&other.stages)) {
            // They have the same bounds.
            let _ = own.add(others);
        }
    }
}

/// Times up to an hour, to three digits; it grows with what is added.
fn histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new(3).unwrap_or_else(|error| unreachable!("three digits are a valid number: {error}"));
    histogram.auto(true);
    histogram
}

fn record(times: &mut Histogram<u64>, time_ns: u64) {
    // It grows by itself.
    let _ = times.record(time_ns.min(MAX_NS));
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn spread(times: &Histogram<u64>) -> Spread {
    if times.is_empty() {
        return Spread::default();
    }
    Spread {
        count: times.len(),
        min_ns: times.min(),
        mean_ns: times.mean(),
        p50_ns: times.value_at_quantile(0.5),
        p90_ns: times.value_at_quantile(0.9),
        p99_ns: times.value_at_quantile(0.99),
        p999_ns: times.value_at_quantile(0.999),
        max_ns: times.max(),
        buckets: times.iter_recorded().map(|one| (one.value_iterated_to(), one.count_at_value())).collect(),
    }
}
