//! Loops that tick: awake in time, to the microsecond, and the worker with them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_transport::{Lately, monotonic_ns};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::connection::timer::Sleep;
use crate::shared::Shared;

/// The longest that a pacer is awake before a tick, where nobody says otherwise: this, and this part of a period.
const MOST_EARLY: Duration = Duration::from_micros(200);
const PART_EARLY: u32 = 10;

/// What becomes of ticks whose time passes while their caller is busy, as with Tokio's `MissedTickBehavior`.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use pycrust_client::MissedTicks;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let mut pacer = client.pacer(Duration::from_millis(1)).when_missed(MissedTicks::Delay);
/// for _ in 0..3 {
///     pacer.tick().await;
///     let sum: i32 = client.call("add", &(10, 20)).await?;
/// }
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissedTicks {
    /// One tick comes at once, the others are left out: the next one comes when it would have.
    #[default]
    Skip,
    /// They all come, one after the other without a pause, until the caller has caught up.
    Burst,
    /// One tick comes at once, and the next one a period after it.
    Delay,
}

/// When ticks are due, and how they came.
#[derive(Debug)]
pub(crate) struct Ticks {
    period_ns: u64,
    /// When the next one is due, on `CLOCK_MONOTONIC`; 0 before the first.
    next_ns: u64,
    when_missed: MissedTicks,
    /// The longest to be awake before one.
    early_ns: u64,
    /// How late the thread wakes.
    late: Lately,
    missed: u64,
    late_ns: u64,
}

impl Ticks {
    pub(crate) fn new(period: Duration) -> Self {
        assert!(!period.is_zero(), "a pacer's period is not zero");
        Self {
            period_ns: nanos(period),
            next_ns: 0,
            when_missed: MissedTicks::default(),
            early_ns: nanos(MOST_EARLY.min(period / PART_EARLY)),
            late: Lately::new(),
            missed: 0,
            late_ns: 0,
        }
    }

    pub(crate) fn when_missed(&mut self, when_missed: MissedTicks) {
        self.when_missed = when_missed;
    }

    pub(crate) fn early_at_most(&mut self, time: Duration) {
        self.early_ns = nanos(time);
    }

    /// When the next tick is due: the first one at once.
    pub(crate) fn due_ns(&self, now_ns: u64) -> u64 {
        if self.next_ns == 0 { now_ns } else { self.next_ns }
    }

    /// Until when to sleep for one that is due then, to be awake in time.
    pub(crate) fn wake_ns(&self, due_ns: u64) -> u64 {
        due_ns.saturating_sub(self.late.most_ns().min(self.early_ns))
    }

    /// A sleep has ended that was to end then.
    pub(crate) fn woke(&mut self, wake_ns: u64, now_ns: u64) {
        self.late.took(now_ns.saturating_sub(wake_ns));
    }

    /// The tick that was due then comes now. When the next one is due.
    pub(crate) fn tick(&mut self, due_ns: u64, now_ns: u64) -> u64 {
        self.late_ns = now_ns.saturating_sub(due_ns);
        let passed = self.late_ns / self.period_ns;
        let (missed, next_ns) = match self.when_missed {
            MissedTicks::Skip => {
                (passed, due_ns.saturating_add(self.period_ns.saturating_mul(passed.saturating_add(1))))
            }
            MissedTicks::Burst => (passed.min(1), due_ns.saturating_add(self.period_ns)),
            MissedTicks::Delay if passed > 0 => (passed, now_ns.saturating_add(self.period_ns)),
            MissedTicks::Delay => (0, due_ns.saturating_add(self.period_ns)),
        };
        self.missed += missed;
        self.next_ns = next_ns;
        next_ns
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    pub(crate) fn lateness(&self) -> Duration {
        Duration::from_nanos(self.late_ns)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Paces a loop that calls: made by [`RpcClient::pacer`](crate::RpcClient::pacer).
///
/// It sleeps until shortly before each tick, by as much as waking up costs here, and polls from there on: Tokio's own
/// timers count in milliseconds. The calls of each tick tell the worker when the next one comes, so that it is awake then,
/// too, within what `RpcEndpoint(anticipation=…)` allows.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// # async fn run(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
/// let mut pacer = client.pacer(Duration::from_millis(10));
/// loop {
///     pacer.tick().await;
///     let torque: f64 = client.call("torque", &(0.1, 0.2)).await?;
///     if pacer.missed() > 0 {
///         eprintln!("{} ticks were missed; the last one came {:?} late", pacer.missed(), pacer.lateness());
///     }
/// #   let _ = torque;
/// }
/// # }
/// ```
pub struct Pacer {
    shared: Arc<Shared>,
    ticks: Ticks,
}

impl Pacer {
    pub(crate) fn new(shared: Arc<Shared>, period: Duration) -> Self {
        Self { shared, ticks: Ticks::new(period) }
    }

    /// What becomes of ticks whose time passes while the caller is busy.
    #[must_use]
    pub fn when_missed(mut self, when_missed: MissedTicks) -> Self {
        self.ticks.when_missed(when_missed);
        self
    }

    /// The longest that it is awake before a tick: by default 200 µs or a tenth of the period, whichever is less; it is
    /// less where it needs less. With zero it only sleeps: ticks come some tens of microseconds late, and their calls are
    /// slow.
    #[must_use]
    pub fn early_at_most(mut self, time: Duration) -> Self {
        self.ticks.early_at_most(time);
        self
    }

    /// Ends when the next tick is due: the first time at once. Dropped before that, it leaves the tick to the next call.
    pub async fn tick(&mut self) {
        let due_ns = self.ticks.due_ns(monotonic_ns());
        let wake_ns = self.ticks.wake_ns(due_ns);
        if wake_ns > monotonic_ns() {
            Sleep::until(wake_ns).await;
            self.ticks.woke(wake_ns, monotonic_ns());
            self.shared.warm_up();
        }
        let shares_thread =
            Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::MultiThread);
        while monotonic_ns() < due_ns {
            if shares_thread {
                // Others of this runtime have their turns meanwhile.
                tokio::task::yield_now().await;
            } else {
                std::hint::spin_loop();
            }
        }
        self.shared.ticked(self.ticks.tick(due_ns, monotonic_ns()));
    }

    /// Ticks whose time had passed by a period or more when they could come, since the beginning.
    pub fn missed(&self) -> u64 {
        self.ticks.missed()
    }

    /// How much later than due the last tick came.
    pub fn lateness(&self) -> Duration {
        self.ticks.lateness()
    }
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").field("ticks", &self.ticks).finish_non_exhaustive()
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.shared.ticked(0);
    }
}

impl Shared {
    /// The next tick of its pacer comes then; 0 if it has none any more.
    pub(crate) fn ticked(&self, next_ns: u64) {
        self.next_tick_ns.store(next_ns, Ordering::Relaxed);
    }

    /// Touches what receives the next answer.
    pub(crate) fn warm_up(&self) {
        if let Some(session) = self.connector.current() {
            session.drain();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ticks of a loop with a period of 10 that is busy for so long after each: when each came.
    fn paced(when_missed: MissedTicks, busy: &[u64]) -> (Vec<u64>, u64) {
        let mut ticks = Ticks::new(Duration::from_nanos(10));
        ticks.when_missed(when_missed);
        let (mut now_ns, mut came) = (1_000, Vec::new());
        for busy_ns in busy {
            let due_ns = ticks.due_ns(now_ns);
            now_ns = now_ns.max(due_ns);
            ticks.tick(due_ns, now_ns);
            came.push(now_ns - 1_000);
            now_ns += busy_ns;
        }
        (came, ticks.missed())
    }

    #[test]
    fn ticks_that_are_kept_come_a_period_apart() {
        for when_missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
            assert_eq!(paced(when_missed, &[1, 9, 10, 0, 5]), (vec![0, 10, 20, 30, 40], 0));
        }
    }

    #[test]
    fn missed_ticks_are_counted_and_skipped_made_up_for_or_pushed_back() {
        // Busy for 35 after the first one: those of 10 and 20 are missed, that of 30 is 5 late.
        assert_eq!(paced(MissedTicks::Skip, &[35, 0, 0, 0]), (vec![0, 35, 40, 50], 2));
        assert_eq!(paced(MissedTicks::Burst, &[35, 0, 0, 0, 0]), (vec![0, 35, 35, 35, 40], 2));
        assert_eq!(paced(MissedTicks::Delay, &[35, 0, 0, 0]), (vec![0, 35, 45, 55], 2));
    }

    #[test]
    fn periods_of_any_length_do_no_harm() {
        for period in [Duration::from_nanos(1), Duration::MAX] {
            let mut ticks = Ticks::new(period);
            for now_ns in [1, u64::MAX / 2, u64::MAX] {
                let due_ns = ticks.due_ns(now_ns);
                assert!(ticks.wake_ns(due_ns) <= due_ns);
                ticks.tick(due_ns, now_ns.max(due_ns));
            }
        }
    }

    #[test]
    #[should_panic(expected = "not zero")]
    fn no_period_is_refused() {
        Ticks::new(Duration::ZERO);
    }
}
