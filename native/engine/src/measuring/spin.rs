//! How long the leader polls before it sleeps.

use std::time::Duration;

use crate::measuring::average::Average;

/// The longest poll of the adaptive policy. Waking up costs 20 to 50 µs more than polling does, the more on a
/// virtual machine, so polling pays while calls come closer together than a small multiple of that. It must be
/// above the gap between calls when both sides sleep, up to 60 µs, or a single caller never gets to poll.
const ADAPTIVE_BUDGET_NS: u64 = 100_000;
/// Waits for the interpreter past which some cell is busy, and polling would take its core.
const BUSY_INTERPRETER_NS: u64 = 20_000;

/// Decides from the traffic whether polling pays.
pub(crate) struct Spin {
    /// What the user asked for; `None` adapts.
    policy: Option<Duration>,
    /// Whether there is a core for the client while this one polls.
    cores_to_spare: bool,
    /// Time between arrivals.
    gap: Average,
    /// When the last call arrived.
    last_arrival_ns: u64,
}

impl Spin {
    pub(crate) fn new(policy: Option<Duration>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { policy, cores_to_spare: cores > 1, gap: Average::default(), last_arrival_ns: 0 }
    }

    /// Whether there is a core for the client while this one polls.
    pub(crate) fn has_core_to_spare(&self) -> bool {
        self.cores_to_spare
    }

    /// `count` frames arrived together.
    pub(crate) fn arrived(&mut self, now_ns: u64, count: usize) {
        if count > 0 {
            let gap = now_ns.saturating_sub(self.last_arrival_ns) / count as u64;
            // Cut, so that a long pause is forgotten after a few calls.
            self.gap.add(gap, 4 * ADAPTIVE_BUDGET_NS);
            self.last_arrival_ns = now_ns;
        }
    }

    /// Nanoseconds to poll now; `interpreter_ns` is the recent wait for the interpreter.
    pub(crate) fn budget_ns(&self, interpreter_ns: u64) -> u64 {
        match self.policy {
            Some(fixed) => fixed.as_nanos().min(u128::from(u64::MAX)) as u64,
            None if self.cores_to_spare
                && self.gap.get().is_some_and(|gap| gap < ADAPTIVE_BUDGET_NS)
                && interpreter_ns < BUSY_INTERPRETER_NS =>
            {
                ADAPTIVE_BUDGET_NS
            }
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(policy: Option<Duration>, cores_to_spare: bool) -> Spin {
        Spin { policy, cores_to_spare, gap: Average::default(), last_arrival_ns: 0 }
    }

    #[test]
    fn adapts_to_the_traffic() {
        let mut adaptive = spin(None, true);
        assert_eq!(adaptive.budget_ns(0), 0, "nothing has arrived");
        let mut now = 0;
        for _ in 0..20 {
            now += 25_000;
            adaptive.arrived(now, 1);
        }
        assert_eq!(adaptive.budget_ns(0), ADAPTIVE_BUDGET_NS);
        assert_eq!(adaptive.budget_ns(BUSY_INTERPRETER_NS), 0, "a cell is busy");
        for _ in 0..20 {
            now += 10_000_000;
            adaptive.arrived(now, 1);
        }
        assert_eq!(adaptive.budget_ns(0), 0, "calls are far apart");
    }

    #[test]
    fn obeys_a_fixed_policy_and_a_single_core() {
        assert_eq!(spin(Some(Duration::ZERO), true).budget_ns(0), 0);
        assert_eq!(spin(Some(Duration::from_micros(7)), true).budget_ns(1 << 40), 7_000);
        let mut single = spin(None, false);
        for now in 0..100 {
            single.arrived(now * 1_000, 1);
        }
        assert_eq!(single.budget_ns(0), 0);
    }
}
