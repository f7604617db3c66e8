//! Being awake just before a call that is expected: how long before, and what that may cost.
//!
//! A thread that sleeps until a time wakes some tens of microseconds after it, and answers its first call slowly. So it
//! asks to be woken earlier, by what waking has lately cost, and polls until the call has come. All of that polling is
//! paid from budgets, of the client and of the worker.

use std::time::Duration;

use pycrust_transport::Lately;

use crate::measuring::rhythm::Window;

/// What may be spent for all clients together, in shares of one client.
const CLIENTS: f64 = 5.0;
/// A budget that is not used does not grow beyond what so much time brings.
const SAVED_NS: f64 = 1e9;
/// What a budget begins with.
const FIRST_NS: f64 = 500_000.0;

/// How long a call is waited for beyond its window: a frame is stamped before it is published, and by a caller whose code is
/// cold, that takes its time.
const GRACE_NS: u64 = 50_000;

/// Time of a core that may be spent, and comes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    left_ns: f64,
    at_ns: u64,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { left_ns: FIRST_NS, at_ns: 0 }
    }

    /// What is left now, of a budget to which so much comes each nanosecond.
    fn left_ns(&mut self, now_ns: u64, share: f64) -> f64 {
        if self.at_ns > 0 {
            let since = now_ns.saturating_sub(self.at_ns) as f64;
            self.left_ns = (self.left_ns + since * share).min(SAVED_NS * share);
        }
        self.at_ns = now_ns;
        self.left_ns
    }

    fn spend(&mut self, spent_ns: u64) {
        self.left_ns -= spent_ns as f64;
    }
}

/// What is known of waking up here, and what is left to spend.
#[derive(Debug)]
pub(crate) struct Anticipation {
    /// What may be spent for one client, as a share of a core; 0 is nothing.
    share: f64,
    /// The budget of all clients together.
    all: Budget,
    /// How late the thread wakes.
    pub(crate) late: Lately,
    /// How long a rehearsal takes.
    pub(crate) rehearsal: Lately,
    /// When the one that is under way began, and for which client.
    pub(crate) rehearses: Option<(u64, u64)>,
}

/// When to be awake for a client's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// When to ask to be woken.
    pub(crate) wake_ns: u64,
    /// When to give up.
    pub(crate) until_ns: u64,
    /// Whether there is time to rehearse the call.
    pub(crate) rehearses: bool,
}

impl Anticipation {
    /// Spends up to this share of a core for each client, and five times that for all.
    pub(crate) fn new(share: f64) -> Self {
        Self { share, all: Budget::new(), late: Lately::new(), rehearsal: Lately::new(), rehearses: None }
    }

    /// Whether anything may be spent at all.
    pub(crate) fn is_off(&self) -> bool {
        self.share <= 0.0
    }

    /// When to be awake for a call that is expected in this window, if its client's budget allows it.
    pub(crate) fn plan(&mut self, window: Window, budget: &mut Budget, now_ns: u64) -> Option<Plan> {
        let left_ns = budget.left_ns(now_ns, self.share).min(self.all.left_ns(now_ns, CLIENTS * self.share));
        // What is owed is nothing.
        let left_ns = Duration::try_from_secs_f64(left_ns / 1e9).ok()?.as_nanos() as u64;
        // On the average it comes in the middle of it.
        let for_window = window.until_ns.saturating_sub(window.from_ns) / 2;
        let for_waking = left_ns.checked_sub(for_window)?;
        // Most of the time before the window is slept through: only what is left of it after waking costs anything.
        let affordable_ns = for_waking.saturating_add(self.late.usual_ns());
        let rehearsed_ns = self.late.most_ns().saturating_add(self.rehearsal.most_ns());
        let rehearses =
            !window.rehearsed && rehearsed_ns <= affordable_ns.saturating_add(self.rehearsal.usual_ns());
        let early_ns = if rehearses { rehearsed_ns } else { self.late.most_ns().min(affordable_ns) };
        Some(Plan {
            wake_ns: window.from_ns.saturating_sub(early_ns),
            until_ns: window.until_ns.saturating_add(GRACE_NS),
            rehearses,
        })
    }

    /// So long was polled for a client.
    pub(crate) fn spent(&mut self, budget: &mut Budget, spent_ns: u64) {
        budget.spend(spent_ns);
        self.all.spend(spent_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ANTICIPATION as SHARE;

    const SECOND: u64 = 1_000_000_000;

    fn window(from_ns: u64, len_ns: u64) -> Window {
        Window { from_ns, until_ns: from_ns + len_ns, rehearsed: false }
    }

    /// Polls for a client at this pace for ten seconds, each time from `awake_ns` before the call until it came, or
    /// gives up.
    fn spent_at(period_ns: u64, jitter_ns: u64, budgets: usize) -> (u64, usize) {
        let mut anticipation = Anticipation::new(SHARE);
        let mut budgets = vec![Budget::new(); budgets];
        let (mut spent, mut plans) = (0, 0);
        for tick in 1..10 * SECOND / period_ns {
            for budget in &mut budgets {
                let now_ns = tick * period_ns;
                let expected = window(now_ns + period_ns, jitter_ns);
                let Some(plan) = anticipation.plan(expected, budget, now_ns) else { continue };
                anticipation.late.took(20_000);
                let polled = plan.until_ns - (plan.wake_ns + 20_000).min(plan.until_ns);
                anticipation.spent(budget, polled);
                spent += polled;
                plans += 1;
            }
        }
        (spent, plans)
    }

    #[test]
    fn no_more_is_spent_than_the_share() {
        for (period_ns, jitter_ns) in
            [(1_000_000, 0), (1_000_000, 50_000), (10_000_000, 100_000), (300_000, 10_000)]
        {
            let (spent, plans) = spent_at(period_ns, jitter_ns, 1);
            assert!(plans > 100, "{period_ns}");
            assert!(
                (spent as f64) <= 10.0 * SECOND as f64 * SHARE + FIRST_NS + 200_000.0,
                "{spent} at {period_ns}"
            );
        }
        let (spent, _) = spent_at(1_000_000, 50_000, 40);
        assert!(
            (spent as f64) <= 10.0 * SECOND as f64 * SHARE * CLIENTS + FIRST_NS + 200_000.0,
            "{spent} by 40"
        );
    }

    #[test]
    fn what_can_t_be_afforded_is_not_waited_for() {
        let mut anticipation = Anticipation::new(SHARE);
        let mut budget = Budget::new();
        assert!(anticipation.plan(window(SECOND, SECOND), &mut budget, 1).is_none());
        assert!(anticipation.plan(window(SECOND, 10_000), &mut budget, 1).is_some());
        anticipation.spent(&mut budget, SECOND);
        assert!(anticipation.plan(window(SECOND, 10_000), &mut budget, 2).is_none());
        assert!(Anticipation::new(0.0).is_off());
    }
}
