//! Counts since the worker began, for monitoring that takes differences itself.
//!
//! Adding costs a load or two and two additions, without a branch: it is done eight times a call.

use pycrust_protocol::Code;
use pycrust_protocol::header::{Stages, TraceContext};
use pycrust_protocol::reserved::{Exemplar, MetricSeries};

use crate::measuring::wall_clock::unix_ns;

/// Upper bounds of the buckets in nanoseconds: 1, 2.5 and 5 of each power of ten from 1 µs to 10 s. Each is at least twice
/// the one before it, so that there is at most one between two powers of two.
pub(crate) const BOUNDS_NS: [u64; 22] = {
    let mut bounds = [0; 22];
    let (mut at, mut ten) = (0, 1_000);
    while at < bounds.len() {
        bounds[at] = match at % 3 {
            0 => ten,
            1 => ten * 5 / 2,
            _ => ten * 5,
        };
        if at % 3 == 2 {
            ten *= 10;
        }
        at += 1;
    }
    bounds
};
/// The last one has no bound.
const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// By a number's leading zeros: the first bucket that such a number may be in.
const FIRST: [u8; 65] = {
    let mut first = [0; 65];
    let mut zeros = 0_usize;
    while zeros < 65 {
        let least = if zeros == 64 { 0 } else { 1_u64 << (63 - zeros) };
        let mut at = 0;
        while at < BOUNDS_NS.len() && BOUNDS_NS[at] < least {
            at += 1;
        }
        first[zeros] = at as u8;
        zeros += 1;
    }
    first
};

/// GRPC's codes, 0 to 16.
const CODES: usize = 17;
/// Versions of one method that are told apart, the newest ones.
pub(crate) const MAX_VERSIONS: usize = 8;
/// The stages' names, in the order of [`VersionTotals::stages`].
pub(crate) const STAGES: [&str; 7] =
    ["transit", "queue", "interpreter", "decode", "handler", "encode", "return"];

/// Durations by size.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations {
    counts: [u64; BUCKETS],
    sum_ns: u64,
}

/// A traced call of each bucket.
type Traced = [Option<(TraceContext, u64, u64)>; BUCKETS];

/// What was counted of one version of a method; as version 0, of its calls that no handler ran.
#[derive(Debug, Clone)]
pub(crate) struct VersionTotals {
    pub(crate) number: u32,
    /// Calls answered, by code.
    pub(crate) codes: [u64; CODES],
    /// Round trips as the clients measured them.
    pub(crate) round_trip: Durations,
    /// From the caller's publishing to the answer, as the worker measured it.
    pub(crate) answered: Durations,
    /// Where that time went, and the way back.
    pub(crate) stages: [Durations; 7],
    /// Made when the first call with a trace ends.
    traced: Option<Box<Traced>>,
}

/// The versions of one method, in order of their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals(Vec<VersionTotals>);

impl Durations {
    #[inline]
    pub(crate) fn add(&mut self, value_ns: u64) {
        self.counts[bucket(value_ns)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(value_ns);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// As one histogram in seconds.
    pub(crate) fn series(&self, labels: Vec<(String, String)>) -> MetricSeries {
        let value = self.sum_ns as f64 / 1e9;
        MetricSeries { labels, value, counts: self.counts.to_vec(), exemplars: Vec::new() }
    }
}

/// The first bucket whose bound is not below `value_ns`.
#[inline]
fn bucket(value_ns: u64) -> usize {
    let first = usize::from(FIRST[value_ns.leading_zeros() as usize]);
    let bound = BOUNDS_NS.get(first).copied().unwrap_or(u64::MAX);
    first + usize::from(value_ns > bound)
}

impl VersionTotals {
    fn new(number: u32) -> Self {
        Self {
            number,
            codes: [0; CODES],
            round_trip: Durations::default(),
            answered: Durations::default(),
            stages: Default::default(),
            traced: None,
        }
    }

    /// A call has ended.
    fn ran(&mut self, status: Code, stages: &Stages, trace: &TraceContext) {
        self.codes[status as usize] += 1;
        let Stages { transit_ns, queue_ns, interpreter_ns, decode_ns, handler_ns, encode_ns } = *stages;
        let all = [transit_ns, queue_ns, interpreter_ns, decode_ns, handler_ns, encode_ns];
        let mut answered_ns = 0_u64;
        for (durations, value_ns) in self.stages.iter_mut().zip(all) {
            durations.add(value_ns);
            answered_ns = answered_ns.saturating_add(value_ns);
        }
        self.answered.add(answered_ns);
        if trace.trace_id != [0; 16] {
            let traced = self.traced.get_or_insert_with(|| Box::new([None; BUCKETS]));
            traced[bucket(answered_ns)] = Some((*trace, answered_ns, unix_ns()));
        }
    }

    /// The calls by which the buckets of `answered` can be looked into.
    pub(crate) fn exemplars(&self) -> Vec<Exemplar> {
        let Some(traced) = &self.traced else { return Vec::new() };
        let known = traced.iter().zip(0..).filter_map(|(one, bucket)| Some((one.as_ref()?, bucket)));
        known
            .map(|((trace, value_ns, unix_ns), bucket)| {
                let text = trace.to_string();
                let mut parts = text.split('-').skip(1).map(str::to_owned);
                let (trace_id, span_id) =
                    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let (value, at) = (*value_ns as f64 / 1e9, *unix_ns as f64 / 1e9);
                Exemplar { bucket, trace_id, span_id, value, at }
            })
            .collect()
    }
}

impl Totals {
    /// A call was run by `version`.
    pub(crate) fn ran(&mut self, version: u32, status: Code, stages: &Stages, trace: &TraceContext) {
        if let Some(totals) = self.of(version) {
            totals.ran(status, stages, trace);
        }
    }

    /// A call was answered and no handler ran.
    pub(crate) fn refused(&mut self, code: Code) {
        if let Some(totals) = self.of(0) {
            totals.codes[code as usize] += 1;
        }
    }

    /// A client told how long a call of `version` took, which it may say of any.
    pub(crate) fn reported(&mut self, version: u32, round_trip_ns: u64, return_ns: u64) {
        if let Some(totals) = self.0.iter_mut().rev().find(|totals| totals.number == version) {
            totals.round_trip.add(round_trip_ns);
            if version > 0 {
                totals.stages[6].add(return_ns);
            }
        }
    }

    /// What was counted of each version.
    pub(crate) fn all(&self) -> impl Iterator<Item = &VersionTotals> {
        self.0.iter()
    }

    /// Where to count `version`; `None` if it is too old.
    fn of(&mut self, version: u32) -> Option<&mut VersionTotals> {
        // Nearly always the newest.
        let at = self.0.iter().rposition(|totals| totals.number <= version);
        if let Some(at) = at
            && self.0[at].number == version
        {
            return Some(&mut self.0[at]);
        }
        let mut at = at.map_or(0, |at| at + 1);
        let first = usize::from(self.0.first().is_some_and(|totals| totals.number == 0));
        if version > 0 && self.0.len() - first >= MAX_VERSIONS {
            if at <= first {
                return None;
            }
            self.0.remove(first);
            at -= 1;
        }
        self.0.insert(at, VersionTotals::new(version));
        Some(&mut self.0[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_below_its_bound() {
        assert_eq!(BOUNDS_NS[..4], [1_000, 2_500, 5_000, 10_000]);
        assert_eq!(BOUNDS_NS[21], 10_000_000_000);
        let around = BOUNDS_NS.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
        let powers = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in around.chain(powers).chain([u64::MAX]) {
            let expected = BOUNDS_NS.iter().position(|bound| value <= *bound).unwrap_or(BOUNDS_NS.len());
            assert_eq!(bucket(value), expected, "{value}");
        }
    }

    #[test]
    fn only_the_newest_versions_are_told_apart() {
        let mut totals = Totals::default();
        let numbers = |totals: &Totals| totals.all().map(|one| one.number).collect::<Vec<_>>();
        let ran = |totals: &mut Totals, version| {
            totals.ran(version, Code::Ok, &Stages::default(), &TraceContext::default());
        };
        for version in [2, 1, 3] {
            ran(&mut totals, version);
        }
        totals.refused(Code::Unavailable);
        assert_eq!(numbers(&totals), [0, 1, 2, 3]);
        for version in 4..=20 {
            ran(&mut totals, version);
        }
        assert_eq!(numbers(&totals), [0, 13, 14, 15, 16, 17, 18, 19, 20]);
        ran(&mut totals, 5);
        assert_eq!(numbers(&totals), [0, 13, 14, 15, 16, 17, 18, 19, 20], "too old");
        totals.reported(5, 1, 1);
        totals.reported(u32::MAX, 1, 1);
        assert!(totals.all().all(|one| one.round_trip.is_empty()), "what nobody ran is not counted");
        totals.reported(20, 2_000, 500);
        let last = totals.all().last().expect("version 20");
        assert_eq!(last.round_trip.series(Vec::new()).counts[1], 1);
    }

    #[test]
    fn a_call_with_a_trace_is_an_example_of_its_bucket() {
        let mut totals = Totals::default();
        let trace = TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 };
        let stages = Stages { handler_ns: 3_000, queue_ns: 1_000, ..Stages::default() };
        totals.ran(1, Code::Ok, &stages, &trace);
        totals.ran(1, Code::Ok, &Stages::default(), &TraceContext::default());
        let exemplars = totals.all().next().map(VersionTotals::exemplars).unwrap_or_default();
        let [exemplar] = &exemplars[..] else { panic!("{exemplars:?}") };
        assert_eq!((exemplar.bucket, exemplar.value), (2, 4e-6));
        assert_eq!(
            (exemplar.trace_id.as_str(), exemplar.span_id.as_str()),
            (&*"01".repeat(16), &*"02".repeat(8))
        );
    }
}
