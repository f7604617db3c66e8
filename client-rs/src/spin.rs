//! Polling before sleeping: when it pays, and for how long.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

/// The longest that a task polls before it sleeps, each time it is called. A sleep and a wake-up cost some
/// 20 µs; to poll much longer than that can't pay.
pub const MAX_SPIN: Duration = Duration::from_micros(30);

/// Polls in vain after which polling is tried least often: once in 2^8 calls.
const MAX_BACKOFF: u32 = 8;

/// Whether a call polls for its answer before it sleeps.
///
/// Polling takes a round trip from some 20 µs to some 5 µs and occupies a runtime thread meanwhile, at most
/// [`MAX_SPIN`] a call. It is done only on a multi-thread runtime, on a machine with more than one usable
/// core, and by a call that is the only one in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spin {
    /// Poll while answers come quickly enough for it to pay.
    #[default]
    Adaptive,
    /// Never poll.
    Off,
    /// Always poll this long, at most [`MAX_SPIN`].
    For(Duration),
}

/// Decides for each call, from how the last ones went.
#[derive(Debug)]
pub(crate) struct Policy {
    /// What the user chose.
    choice: Spin,
    /// Whether there is a core to spare for polling.
    spare_core: bool,
    /// Polls in vain since the last that paid.
    misses: AtomicU32,
    /// Calls that sleep at once before polling is tried again.
    skip: AtomicU32,
}

impl Policy {
    pub(crate) fn new(choice: Spin) -> Self {
        let spare_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        Self { choice, spare_core, misses: AtomicU32::new(0), skip: AtomicU32::new(0) }
    }

    /// How long the call that is about to wait polls first.
    pub(crate) fn budget(&self) -> Option<Duration> {
        let budget = match self.choice {
            Spin::Off => return None,
            Spin::For(time) => time.min(MAX_SPIN),
            Spin::Adaptive => {
                // Relaxed, here and below: calls that race may poll once too often or too seldom.
                let skip = self.skip.load(Ordering::Relaxed);
                if skip > 0 {
                    self.skip.store(skip - 1, Ordering::Relaxed);
                    return None;
                }
                MAX_SPIN
            }
        };
        (self.spare_core && !budget.is_zero() && on_many_threads()).then_some(budget)
    }

    /// Learns whether polling brought the answer.
    pub(crate) fn learn(&self, paid: bool) {
        if paid {
            if self.misses.load(Ordering::Relaxed) != 0 {
                self.misses.store(0, Ordering::Relaxed);
            }
        } else {
            let misses = (self.misses.load(Ordering::Relaxed) + 1).min(MAX_BACKOFF);
            self.misses.store(misses, Ordering::Relaxed);
            self.skip.store((1 << misses) - 1, Ordering::Relaxed);
        }
    }
}

/// Whether other threads of this runtime can run its other tasks meanwhile.
fn on_many_threads() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls until the next one that would poll, at most 1,000.
    fn calls_until_poll(policy: &Policy) -> usize {
        (0..1000).take_while(|_| policy.budget().is_none()).count()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn polling_in_vain_becomes_rare_and_returns_when_it_pays() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::Adaptive) };
        assert_eq!(policy.budget(), Some(MAX_SPIN));
        policy.learn(false);
        assert_eq!(calls_until_poll(&policy), 1);
        policy.learn(false);
        assert_eq!(calls_until_poll(&policy), 3);
        for _ in 0..20 {
            policy.learn(false);
        }
        assert_eq!(calls_until_poll(&policy), 255);
        policy.learn(true);
        assert_eq!(calls_until_poll(&policy), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_fixed_time_is_bounded() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::For(Duration::from_secs(1))) };
        assert_eq!(policy.budget(), Some(MAX_SPIN));
    }

    #[tokio::test]
    async fn a_single_thread_never_polls() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::Adaptive) };
        assert_eq!(policy.budget(), None);
    }
}
