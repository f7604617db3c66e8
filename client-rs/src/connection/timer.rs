//! Time limits, kept to the microsecond.
//!
//! Tokio's own timers count in milliseconds. Each runtime gets one timer of the kernel's, on its I/O driver, and a
//! task that wakes whoever's time is over. So limits need no time driver, and a paused clock doesn't move them: what
//! they limit happens in another process.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pycrust_transport::sync::{Mutex, MutexGuard};
use pycrust_transport::{Alarm, PerProcess, Process, monotonic_ns};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Handle};

use crate::connection::{descriptor, home};

/// The timers of this process's runtimes that have one.
static TIMERS: PerProcess<Mutex<Timers>> = PerProcess::new();

type Timers = Vec<(runtime::Id, Arc<Timer>)>;

/// The timer of one runtime.
#[derive(Debug)]
struct Timer {
    alarm: AsyncFd<Alarm>,
    /// Taken for well under a microsecond; no waker is woken under it.
    sleepers: Mutex<Sleepers>,
    /// In a forked child the lock may be one that a thread of its parent's had.
    process: Process,
}

#[derive(Debug)]
struct Sleepers {
    /// By when they are to be woken, and a number that tells apart those of one time.
    by_time: BTreeMap<(u64, u64), Waker>,
    /// Number of the last one.
    last: u64,
    /// What the alarm is set to. It may be earlier than any sleeper's time: one that goes leaves the alarm alone.
    alarm_ns: u64,
}

fn timers() -> MutexGuard<'static, Timers> {
    TIMERS.get().lock()
}

/// Forgets a timer when its task ends, mostly with its runtime.
struct Registered(Arc<Timer>);

impl Drop for Registered {
    fn drop(&mut self) {
        timers().retain(|(_, timer)| !Arc::ptr_eq(timer, &self.0));
    }
}

impl Timer {
    /// The timer of the current runtime; of the crate's own outside of one, and where it can't have one.
    fn current() -> Option<Arc<Self>> {
        let current = Handle::try_current().map_err(io::Error::other).and_then(|runtime| Self::of(&runtime));
        let timer = current.or_else(|_| home::handle().and_then(|home| Self::of(&home)));
        timer
            .inspect_err(|error| log::error!("time limits end at once, since there is no timer: {error}"))
            .ok()
    }

    fn of(runtime: &Handle) -> io::Result<Arc<Self>> {
        let id = runtime.id();
        if let Some((_, timer)) = timers().iter().find(|(of, _)| *of == id) {
            return Ok(Arc::clone(timer));
        }
        let alarm = descriptor::watch(runtime, Alarm::new()?)?;
        let sleepers = Sleepers { by_time: BTreeMap::new(), last: 0, alarm_ns: u64::MAX };
        let timer = Arc::new(Self { alarm, sleepers: Mutex::new(sleepers), process: Process::current() });
        {
            let mut timers = timers();
            // Another thread of the runtime may have been faster.
            if let Some((_, timer)) = timers.iter().find(|(of, _)| *of == id) {
                return Ok(Arc::clone(timer));
            }
            timers.push((id, Arc::clone(&timer)));
        }
        // Not under the lock: a runtime that is shutting down drops the task here, and the registration with it.
        runtime.spawn(keep(Registered(Arc::clone(&timer))));
        Ok(timer)
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock()
    }

    /// Has `waker` woken at a time; the sleeper's key.
    fn add(&self, at_ns: u64, waker: Waker) -> (u64, u64) {
        let mut sleepers = self.sleepers();
        sleepers.last += 1;
        let key = (at_ns, sleepers.last);
        sleepers.by_time.insert(key, waker);
        if at_ns < sleepers.alarm_ns {
            sleepers.alarm_ns = at_ns;
            self.alarm.get_ref().set(at_ns);
        }
        key
    }

    /// Wakes whoever's time is over.
    fn ring(&self) {
        let due = {
            let mut sleepers = self.sleepers();
            let later = sleepers.by_time.split_off(&(monotonic_ns().saturating_add(1), 0));
            let due = std::mem::replace(&mut sleepers.by_time, later);
            sleepers.alarm_ns = sleepers.by_time.first_key_value().map_or(u64::MAX, |((at_ns, _), _)| *at_ns);
            if sleepers.alarm_ns < u64::MAX {
                self.alarm.get_ref().set(sleepers.alarm_ns);
            }
            due
        };
        due.into_values().for_each(Waker::wake);
    }
}

/// Wakes sleepers for the life of a runtime.
async fn keep(registered: Registered) {
    let timer = &registered.0;
    loop {
        let rang = poll_fn(|cx| {
            timer.alarm.poll_read_ready(cx).map_ok(|mut ready| {
                // Never read: each time is a new edge. Cleared before the look, so that none is missed.
                ready.clear_ready();
            })
        });
        if rang.await.is_err() {
            return;
        }
        timer.ring();
    }
}

/// Ends at a time.
#[derive(Debug)]
pub(crate) struct Sleep {
    /// None if the system has no descriptor left for one: rather no time than no limit.
    timer: Option<Arc<Timer>>,
    at_ns: u64,
    /// Its key with the timer, and whom that wakes.
    kept: Option<((u64, u64), Waker)>,
}

impl Sleep {
    /// Until a time of `CLOCK_MONOTONIC`.
    pub(crate) fn until(at_ns: u64) -> Self {
        Self { timer: Timer::current(), at_ns, kept: None }
    }

    /// Makes it end at this time, if it is another one.
    pub(crate) fn reset(&mut self, at_ns: u64) {
        if self.at_ns != at_ns {
            self.forget();
            self.at_ns = at_ns;
        }
    }

    /// The timer, unless it is a parent's.
    fn timer(&self) -> Option<&Timer> {
        self.timer.as_deref().filter(|timer| timer.process.is_current())
    }

    fn forget(&mut self) {
        if let (Some((key, _)), Some(timer)) = (self.kept.take(), self.timer()) {
            // Dropped after the lock: with a waker may go a task, and with that sleepers.
            let _waker = timer.sleepers().by_time.remove(&key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer().is_none() || monotonic_ns() >= self.at_ns {
            return Poll::Ready(());
        }
        if !self.kept.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            self.forget();
            let key = self.timer().map(|timer| timer.add(self.at_ns, cx.waker().clone()));
            self.kept = key.map(|key| (key, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The time of `CLOCK_MONOTONIC` that is so far away.
pub(crate) fn after(time: Duration) -> u64 {
    later(monotonic_ns(), time)
}

/// The time that is so much after another one.
pub(crate) fn later(at_ns: u64, time: Duration) -> u64 {
    at_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// What `future` gives; `None` if it is not ready when the time is over. No time is no limit.
pub(crate) async fn until<F: Future>(at_ns: Option<u64>, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let Some(at_ns) = at_ns else { return Some(future.await) };
    let mut sleep = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        // Only now: what is there already needs no timer.
        Pin::new(sleep.get_or_insert_with(|| Sleep::until(at_ns))).poll(cx).map(|()| None)
    })
    .await
}
