//! A timer that is a descriptor: to the microsecond, on whatever waits for descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::clock::monotonic_ns;
use crate::fork::Guarded;

/// Becomes readable at a time that is [set](Self::set). It is never read: wait for its edge.
#[derive(Debug)]
pub struct Alarm(Guarded);

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// The system's, if it gives no file descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?.into()))
    }

    /// Sets it to a time of `CLOCK_MONOTONIC`, instead of the one before; one that is over comes at once.
    pub fn set(&self, at_ns: u64) {
        // All zero would take the alarm back.
        let at_ns = at_ns.max(1);
        let at = Timespec {
            tv_sec: (at_ns / 1_000_000_000).cast_signed(),
            tv_nsec: (at_ns % 1_000_000_000).cast_signed(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        // It fails for times and descriptors that are none.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once);
    }
}

impl Alarm {
    /// Sets it and sleeps until it comes.
    pub fn sleep_until(&self, at_ns: u64) {
        self.set(at_ns);
        while monotonic_ns() < at_ns {
            self.wait();
        }
    }

    /// Sleeps until it comes; a signal may end it early.
    pub fn wait(&self) {
        match poll(&mut [PollFd::new(self, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            // Only a forked child, whose descriptors are gone, comes here: it must not spin.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::sleeping::polling::poll_until;

    fn comes_within(alarm: &Alarm, time: Duration) -> bool {
        poll_until(alarm.as_fd(), Instant::now() + time)
    }

    #[test]
    fn a_sleep_ends_at_its_time_and_not_before() {
        let alarm = Alarm::new().expect("an alarm");
        for ahead_ns in [1_000_000, 0, 300_000] {
            let at_ns = monotonic_ns() + ahead_ns;
            alarm.sleep_until(at_ns);
            assert!(monotonic_ns() >= at_ns);
        }
    }

    #[test]
    fn it_comes_at_its_time_and_again_when_it_is_set_again() {
        let alarm = Alarm::new().expect("an alarm");
        assert!(!comes_within(&alarm, Duration::from_millis(2)));
        for ahead_ns in [0, 300_000, 5_000_000] {
            let at_ns = monotonic_ns() + ahead_ns;
            alarm.set(at_ns);
            assert!(comes_within(&alarm, Duration::from_secs(60)));
            assert!(monotonic_ns() >= at_ns, "not before its time");
        }
        alarm.set(monotonic_ns() + 3_600_000_000_000);
        assert!(!comes_within(&alarm, Duration::from_millis(2)), "setting it takes the last time back");
    }
}
