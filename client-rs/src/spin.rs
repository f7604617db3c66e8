//! Polling before sleeping: when it pays, and for how long.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use pycrust_transport::PerProcess;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The longest that a task polls before it sleeps, each time it is called. A sleep and a wake-up cost some
/// 20 µs; to poll much longer than that can't pay. A call that comes after a pause may poll for a fiftieth of that, up to
/// 150 µs: everything takes longer then, also the sleep.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use pycrust_client::{MAX_SPIN, RpcClient, Spin};
///
/// // No call polls longer, whatever was asked for.
/// let client = RpcClient::builder("arm").spin(Spin::For(MAX_SPIN)).connect_lazy();
/// # assert!(MAX_SPIN < Duration::from_millis(1));
/// ```
pub const MAX_SPIN: Duration = Duration::from_micros(30);

/// Polls in vain after which polling pauses. Not fewer: a worker that sleeps notices only after some quick
/// calls that polling would pay on its side too, and until then these calls poll in vain.
const PATIENCE: u32 = 16;

/// Polls in vain that one that paid makes up for: a poll in vain costs about as much as a sleep and a wake-up,
/// a poll that paid a quarter of that.
const WORTH: u32 = 4;

/// Pauses end after `PATIENCE << 6` calls at the latest.
const MAX_BACKOFF: u32 = 6;

/// Whether a call polls for its answer before it sleeps.
///
/// Polling takes a round trip from some 20 µs to some 5 µs and occupies a runtime thread meanwhile, at most
/// [`MAX_SPIN`] a call. It is done only on a multi-thread runtime, on a machine with more than one usable
/// core, by a call that is the only one in flight on its connection, and only while the process makes no more
/// calls, over all connections, than half of its cores could poll for; calls that have waited for a millisecond or
/// two don't count.
///
/// # Examples
/// ```
/// use pycrust_client::{RpcClient, Spin};
///
/// // Each call sleeps at once, and leaves the core to others.
/// let client = RpcClient::builder("report").spin(Spin::Off).connect_lazy();
/// # drop(client);
/// ```
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

/// Usable cores.
fn cores() -> usize {
    static CORES: PerProcess<usize> = PerProcess::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// Calls that this process began lately, on any connection, and that have not ended.
static MAKING: Lately = Lately::new();

/// Counts of what began in each of the last short times. What lasts longer is forgotten with the time in which it
/// began.
struct Lately([AtomicU64; 4]);

/// A short time is a millisecond or so: nanoseconds shifted by this.
const TIME_SHIFT: u32 = 20;

/// Bits of a count, below the number of its time.
const COUNT_BITS: u32 = 20;

impl Lately {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }

    fn place(&self, time: u64) -> &AtomicU64 {
        &self.0[time as usize % self.0.len()]
    }

    /// How many began in this time and the one before it, and have not ended.
    fn count(&self, time: u64) -> u64 {
        // Relaxed, here and below: calls that race may poll once too often or too seldom.
        let of = |time| counted(self.place(time).load(Ordering::Relaxed), time);
        of(time) + of(time.saturating_sub(1))
    }

    fn change(&self, time: u64, change: impl Fn(u64) -> u64) {
        let changed = |found| {
            // One that ends late must not take the place of newer ones.
            (found >> COUNT_BITS <= time).then(|| (time << COUNT_BITS) | change(counted(found, time)))
        };
        let _ = self.place(time).fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    fn begin(&self, time: u64) {
        self.change(time, |count| count + 1);
    }

    fn end(&self, time: u64) {
        self.change(time, |count| count.saturating_sub(1));
    }
}

/// The count of this time in a place of [`Lately`], which may hold that of another.
fn counted(found: u64, time: u64) -> u64 {
    if found >> COUNT_BITS == time { found & ((1 << COUNT_BITS) - 1) } else { 0 }
}

/// A call that is made at the moment.
pub(crate) struct Making {
    /// When it began.
    time: u64,
}

impl Making {
    /// A call that begins at this time of `CLOCK_MONOTONIC`.
    pub(crate) fn begin(now_ns: u64) -> Self {
        let time = now_ns >> TIME_SHIFT;
        MAKING.begin(time);
        Self { time }
    }

    /// Whether so few are made that each may occupy a thread. With more, those that poll would keep the threads from
    /// the others' tasks. One that has waited for a millisecond does not count: it is not about to go on.
    pub(crate) fn are_few(&self) -> bool {
        MAKING.count(self.time) as usize <= (cores() / 2).max(1)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        MAKING.end(self.time);
    }
}

/// A call that comes so long after the one before it may poll in vain: that costs next to nothing, and the worker may be
/// awake in time for it.
const RARE_NS: u64 = 900_000;
/// It may poll for this part of the pause,
const RARE_PART: u64 = 50;
/// and no longer than this.
const MAX_RARE_SPIN: Duration = Duration::from_micros(150);

/// How a call polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Polls {
    /// For how long.
    pub(crate) budget: Duration,
    /// Whether what comes of it says something of the calls after it.
    pub(crate) counts: bool,
}

/// Decides for each call, from how the last ones went.
#[derive(Debug)]
pub(crate) struct Policy {
    /// What the user chose.
    choice: Spin,
    /// Whether there is a core to spare for polling.
    spare_core: bool,
    /// Polls in vain that are left before polling pauses.
    patience: AtomicU32,
    /// Pauses since polling last paid.
    pauses: AtomicU32,
    /// Calls that sleep at once before polling is tried again.
    skip: AtomicU32,
    /// When the last call began.
    last_ns: AtomicU64,
    /// Calls after a pause for whose answers polling was too short, in a row.
    short: AtomicU32,
}

impl Policy {
    pub(crate) fn new(choice: Spin) -> Self {
        Self {
            choice,
            spare_core: cores() > 1,
            patience: AtomicU32::new(PATIENCE),
            pauses: AtomicU32::new(0),
            skip: AtomicU32::new(0),
            last_ns: AtomicU64::new(0),
            short: AtomicU32::new(0),
        }
    }

    /// How long the call that is about to wait, and began then, polls first.
    pub(crate) fn budget(&self, now_ns: u64) -> Option<Polls> {
        let pause_ns = now_ns.saturating_sub(self.last_ns.swap(now_ns, Ordering::Relaxed));
        let rare = pause_ns >= RARE_NS;
        let most = if rare && self.short.load(Ordering::Relaxed) < PATIENCE {
            Duration::from_nanos(pause_ns / RARE_PART).clamp(MAX_SPIN, MAX_RARE_SPIN)
        } else {
            MAX_SPIN
        };
        let budget = match self.choice {
            Spin::Off => return None,
            Spin::For(time) => time.min(MAX_SPIN),
            Spin::Adaptive => {
                // Relaxed, here and below: calls that race may poll once too often or too seldom.
                let skip = self.skip.load(Ordering::Relaxed);
                if skip > 0 && !rare {
                    self.skip.store(skip - 1, Ordering::Relaxed);
                    return None;
                }
                most
            }
        };
        (self.spare_core && !budget.is_zero() && on_many_threads()).then_some(Polls { budget, counts: !rare })
    }

    /// Learns whether polling brought the answer to a call that came after a pause.
    pub(crate) fn learn_rare(&self, paid: bool) {
        // Each sixteenth of them tries again.
        let short = self.short.load(Ordering::Relaxed);
        let short = if paid {
            0
        } else if short >= 2 * PATIENCE {
            PATIENCE - 1
        } else {
            short + 1
        };
        self.short.store(short, Ordering::Relaxed);
    }

    /// Learns whether polling brought the answer.
    pub(crate) fn learn(&self, paid: bool) {
        let patience = self.patience.load(Ordering::Relaxed);
        if paid {
            if patience < PATIENCE {
                self.patience.store((patience + WORTH).min(PATIENCE), Ordering::Relaxed);
                self.pauses.store(0, Ordering::Relaxed);
            }
        } else if patience > 1 {
            self.patience.store(patience - 1, Ordering::Relaxed);
        } else {
            let pauses = self.pauses.load(Ordering::Relaxed);
            self.skip.store(PATIENCE << pauses, Ordering::Relaxed);
            self.pauses.store((pauses + 1).min(MAX_BACKOFF), Ordering::Relaxed);
            self.patience.store(PATIENCE, Ordering::Relaxed);
        }
    }
}

/// Whether other threads of this runtime can run its other tasks meanwhile; outside of one there are none.
fn on_many_threads() -> bool {
    Handle::try_current().map_or(true, |runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a call polls that begins right after the one before it.
    fn polled(policy: &Policy) -> Option<Duration> {
        policy.last_ns.store(1, Ordering::Relaxed);
        policy.budget(2).map(|polls| polls.budget)
    }

    /// Calls before the next one that polls, at most 10,000.
    fn pause(policy: &Policy) -> usize {
        (0..10_000).take_while(|_| polled(policy).is_none()).count()
    }

    fn learn(policy: &Policy, paid: bool, times: u32) {
        (0..times).for_each(|_| policy.learn(paid));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn polling_in_vain_becomes_rare_and_returns_when_it_pays() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::Adaptive) };
        assert_eq!(polled(&policy), Some(MAX_SPIN));
        learn(&policy, false, PATIENCE - 1);
        assert_eq!(pause(&policy), 0);
        policy.learn(false);
        assert_eq!(pause(&policy), 16);
        learn(&policy, false, PATIENCE);
        assert_eq!(pause(&policy), 32);
        learn(&policy, false, 20 * PATIENCE);
        assert_eq!(pause(&policy), 1024);
        learn(&policy, false, PATIENCE / 2);
        policy.learn(true);
        learn(&policy, false, PATIENCE);
        assert_eq!(pause(&policy), 16);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_now_and_then_polls_whatever_came_of_the_others() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::Adaptive) };
        learn(&policy, false, 20 * PATIENCE);
        assert_eq!(polled(&policy), None);
        assert_eq!(policy.budget(RARE_NS + 2), Some(Polls { budget: MAX_SPIN, counts: false }));
        policy.last_ns.store(1, Ordering::Relaxed);
        assert_eq!(policy.budget(10_000_001).map(|polls| polls.budget), Some(MAX_RARE_SPIN));
        (0..PATIENCE).for_each(|_| policy.learn_rare(false));
        policy.last_ns.store(1, Ordering::Relaxed);
        assert_eq!(policy.budget(10_000_001).map(|polls| polls.budget), Some(MAX_SPIN));
        policy.last_ns.store(RARE_NS + 2, Ordering::Relaxed);
        assert_eq!(policy.budget(RARE_NS + 3), None);
    }

    #[test]
    fn what_began_lately_is_counted_until_it_ends() {
        let lately = Lately::new();
        for time in [7, 7, 8] {
            lately.begin(time);
        }
        assert_eq!([7, 8, 9, 10].map(|time| lately.count(time)), [2, 3, 1, 0]);
        lately.end(7);
        assert_eq!(lately.count(8), 2);
        // A place of four is that of time 7, too: what began then is forgotten, and so is its end.
        lately.begin(11);
        lately.end(7);
        assert_eq!([8, 11, 12].map(|time| lately.count(time)), [1, 1, 1]);
        lately.end(11);
        assert_eq!(lately.count(11), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn polling_goes_on_while_one_in_four_pays() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::Adaptive) };
        for _ in 0..1000 {
            learn(&policy, false, WORTH);
            policy.learn(true);
            assert_eq!(pause(&policy), 0);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_fixed_time_is_bounded() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::For(Duration::from_secs(1))) };
        assert_eq!(polled(&policy), Some(MAX_SPIN));
    }

    #[tokio::test]
    async fn a_single_thread_never_polls() {
        let policy = Policy { spare_core: true, ..Policy::new(Spin::Adaptive) };
        assert_eq!(polled(&policy), None);
    }
}
