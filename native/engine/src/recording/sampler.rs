//! Which calls are recorded: all of them up to a rate, above it a sample.

use std::sync::Arc;

use crate::recording::recorder::Recording;
use crate::recording::scrub::Scrub;

/// How long calls are counted before the stride follows their rate.
const WINDOW_NS: u64 = 250_000_000;
const SECOND_NS: u128 = 1_000_000_000;

/// A call that may be recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    /// Bytes of its payloads.
    pub(crate) bytes: usize,
    /// Bytes of the arrays among its arguments.
    pub(crate) arrays: usize,
    /// How long it took.
    pub(crate) took_ns: u64,
    /// Whether it ended in an error.
    pub(crate) failed: bool,
}

/// How a call is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Bytes of a payload that are kept.
    pub(crate) max_payload: usize,
    /// Whether the arrays among its arguments are kept.
    pub(crate) arrays: bool,
    /// What is taken out of it before.
    pub(crate) drop: Arc<Scrub>,
}

/// Takes every call while they come slowly, and one of every `stride` when they don't. A budget that fills up at the
/// allowed rate bounds what a sudden burst brings.
#[derive(Debug)]
pub(crate) struct Sampler {
    settings: Recording,
    /// One of so many ordinary calls is recorded.
    stride: u64,
    /// Ordinary calls since the last one that was recorded.
    passed: u64,
    /// Calls and bytes that were offered in this window, and when it began.
    window: (u64, u64, u64),
    /// What may still be recorded, of ordinary and of notable calls.
    budgets: [Budget; 2],
}

/// Calls and bytes that may be recorded at the moment: at most what a second allows.
#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    calls: f64,
    bytes: f64,
    filled_ns: u64,
}

impl Sampler {
    pub(crate) fn new(settings: Recording) -> Self {
        let budget = Budget {
            calls: settings.calls_per_second as f64,
            bytes: settings.bytes_per_second as f64,
            filled_ns: 0,
        };
        Self { settings, stride: 1, passed: 0, window: (0, 0, 0), budgets: [budget; 2] }
    }

    pub(crate) fn settings(&self) -> &Recording {
        &self.settings
    }

    pub(crate) fn set(&mut self, settings: Recording) {
        *self = Self::new(settings);
    }

    /// The share of ordinary calls that is recorded.
    pub(crate) fn share(&self) -> f64 {
        if self.settings.on { 1.0 / self.stride as f64 } else { 0.0 }
    }

    /// Whether a call is recorded, and then how.
    pub(crate) fn take(&mut self, offer: Offer, now_ns: u64) -> Option<Plan> {
        let cap = self.settings.max_payload;
        // Not where fields are taken out by their names: an array doesn't know its own.
        let arrays =
            offer.arrays > 0 && offer.arrays <= self.settings.max_arrays && self.settings.drop.is_empty();
        let bytes = offer.bytes.min(cap.saturating_mul(2)) + if arrays { offer.arrays } else { 0 };
        self.count(bytes as u64, now_ns);
        let notable = offer.failed || u128::from(offer.took_ns) >= self.settings.slow.as_nanos();
        if !notable {
            self.passed += 1;
            if self.passed < self.stride {
                return None;
            }
        }
        let budget = &mut self.budgets[usize::from(notable)];
        if !budget.spend(bytes as f64, &self.settings, now_ns) {
            return None;
        }
        if !notable {
            self.passed = 0;
        }
        Some(Plan { max_payload: cap, arrays, drop: Arc::clone(&self.settings.drop) })
    }

    /// Counts what was offered, and lets the stride follow.
    fn count(&mut self, bytes: u64, now_ns: u64) {
        let (calls, all_bytes, begun_ns) = &mut self.window;
        let age = now_ns.saturating_sub(*begun_ns);
        if age >= WINDOW_NS {
            let stride = |count: u64, per_second: u64| {
                // A rate of 0 allows nothing; the budget says so, whatever the stride.
                let allowed = u128::from(per_second.max(1)) * u128::from(age);
                (u128::from(count) * SECOND_NS).div_ceil(allowed) as u64
            };
            let Recording { calls_per_second, bytes_per_second, .. } = self.settings;
            self.stride = stride(*calls, calls_per_second).max(stride(*all_bytes, bytes_per_second)).max(1);
            self.window = (0, 0, now_ns);
        }
        self.window.0 += 1;
        self.window.1 += bytes;
    }
}

impl Budget {
    fn spend(&mut self, bytes: f64, settings: &Recording, now_ns: u64) -> bool {
        let seconds = now_ns.saturating_sub(self.filled_ns) as f64 / SECOND_NS as f64;
        self.filled_ns = now_ns;
        let (calls, all) = (settings.calls_per_second as f64, settings.bytes_per_second as f64);
        self.calls = (self.calls + seconds * calls).min(calls.max(1.0));
        self.bytes = (self.bytes + seconds * all).min(all);
        // A payload larger than a second's bytes is taken when nothing was spent.
        if self.calls < 1.0 || (self.bytes < bytes && self.bytes < all) {
            return false;
        }
        self.calls -= 1.0;
        self.bytes -= bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn sampler(calls_per_second: u64, bytes_per_second: u64) -> Sampler {
        let slow = Duration::from_millis(10);
        Sampler::new(Recording { calls_per_second, bytes_per_second, slow, ..Recording::default() })
    }

    /// Offers calls at this rate for so many seconds; how many of the last second's were taken.
    fn taken(sampler: &mut Sampler, rate: u64, seconds: u64, offer: Offer) -> u64 {
        (0..rate * seconds)
            .filter(|number| {
                let now_ns = SECOND + number * SECOND / rate;
                sampler.take(offer, now_ns).is_some() && *number >= rate * (seconds - 1)
            })
            .count() as u64
    }

    const USUAL: Offer = Offer { bytes: 100, arrays: 0, took_ns: 1000, failed: false };

    #[test]
    fn up_to_the_rate_every_call_is_taken() {
        let mut sampler = sampler(1_000, 1 << 30);
        assert_eq!(taken(&mut sampler, 1_000, 3, USUAL), 1_000);
        assert!(sampler.share() >= 1.0);
    }

    #[test]
    fn above_it_a_share_is() {
        let mut sampler = sampler(1_000, 1 << 30);
        let count = taken(&mut sampler, 20_000, 3, USUAL);
        assert!((900..=1_000).contains(&count), "{count}");
        assert!((0.045..=0.05).contains(&sampler.share()), "{}", sampler.share());
    }

    #[test]
    fn bytes_count_as_calls_do() {
        let mut sampler = sampler(1_000, 10_000);
        let count = taken(&mut sampler, 1_000, 3, USUAL);
        assert!((90..=100).contains(&count), "{count}");
    }

    #[test]
    fn a_payload_larger_than_a_seconds_bytes_is_taken_now_and_then() {
        let mut sampler = sampler(1_000, 10_000);
        assert!(sampler.take(Offer { bytes: 50_000, ..USUAL }, SECOND).is_some());
        assert!(sampler.take(USUAL, SECOND + 1).is_none(), "it was paid for");
        assert!(sampler.take(Offer { bytes: 50_000, ..USUAL }, 10 * SECOND).is_some());
    }

    #[test]
    fn arrays_are_kept_up_to_their_bound_and_are_paid_for() {
        let mut sampler = sampler(1_000, 10_000);
        let arrays = Offer { arrays: 5_000, ..USUAL };
        let kept = |sampler: &mut Sampler, now_ns| sampler.take(arrays, now_ns).map(|plan| plan.arrays);
        assert_eq!(kept(&mut sampler, SECOND), Some(false), "none by default");
        let settings = Recording { max_arrays: 5_000, ..sampler.settings().clone() };
        sampler.set(settings.clone());
        assert_eq!(kept(&mut sampler, SECOND), Some(true));
        assert_eq!(kept(&mut sampler, SECOND + 1), None, "a second's bytes are nearly spent");
        sampler.set(Recording { max_arrays: 4_999, ..settings.clone() });
        assert_eq!(kept(&mut sampler, SECOND), Some(false));
        sampler.set(Recording { drop: Arc::new(Scrub::new(["a".to_owned()])), ..settings });
        assert_eq!(kept(&mut sampler, SECOND), Some(false));
    }

    #[test]
    fn a_flood_does_not_hide_what_is_notable() {
        let mut sampler = sampler(100, 1 << 30);
        taken(&mut sampler, 50_000, 2, USUAL);
        let after_ns = 3 * SECOND;
        assert!(sampler.take(Offer { failed: true, ..USUAL }, after_ns).is_some());
        assert!(sampler.take(Offer { took_ns: 11_000_000, ..USUAL }, after_ns).is_some());
        let count = taken(&mut sampler, 50_000, 3, Offer { failed: true, ..USUAL });
        assert!((90..=101).contains(&count), "{count}");
    }

    #[test]
    fn a_rate_of_nothing_takes_nothing() {
        let mut sampler = sampler(0, 1 << 30);
        // A second allows one call at least, so that a rate below that is not a way to turn it off by accident.
        assert!(taken(&mut sampler, 1_000, 2, USUAL) <= 1);
    }
}
