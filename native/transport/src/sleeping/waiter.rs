//! The worker's sleep: one epoll set over all doorbells and a wake-up of its own.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;

use crate::fork::Guarded;
use crate::sleeping::wakeup;

/// Token of the waiter's own eventfd.
const WAKE: u64 = u64::MAX;

/// Sleeps until one of many doorbells rings. Edge-triggered: what is added need never be read.
///
/// An edge wakes one of the threads that wait, so that a ring costs one wake-up.
#[derive(Debug)]
pub struct Waiter {
    /// The epoll set.
    epoll: Guarded,
    /// Rung by [`wake`](Self::wake).
    own: Guarded,
}

impl Waiter {
    /// A waiter without doorbells.
    ///
    /// # Errors
    /// The system's, if it gives no file descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waiter = Self { epoll: epoll.into(), own: wakeup::create()?.into() };
        waiter.add(waiter.own.as_fd(), WAKE)?;
        Ok(waiter)
    }

    /// Adds a doorbell. One that rang already counts as an edge.
    ///
    /// # Errors
    /// The system's, for instance if the doorbell is there already.
    pub fn add(&self, doorbell: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, doorbell, epoll::EventData::new_u64(token), interest)?)
    }

    /// Removes a doorbell; one that is not there is no error.
    pub fn remove(&self, doorbell: BorrowedFd<'_>) {
        // It fails only for a doorbell that is not in the set.
        let _ = epoll::delete(&self.epoll, doorbell);
    }

    /// Sleeps until a doorbell rings, [`wake`](Self::wake) is called, a signal comes or the time is up.
    pub fn wait(&self, timeout: Option<Duration>) {
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 16];
        let waited = match timeout.and_then(|timeout| Timespec::try_from(timeout).ok()) {
            None => epoll::wait(&self.epoll, &mut events, None).map(drop),
            // In two steps, since epoll's own time is rounded up to milliseconds.
            Some(timeout) => {
                let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
                poll(&mut ready, Some(&timeout))
                    .and_then(|_| epoll::wait(&self.epoll, &mut events, Some(&Timespec::default())))
                    .map(drop)
            }
        };
        match waited {
            Ok(()) | Err(Errno::INTR) => {}
            Err(error) => {
                // Only a forked child, whose descriptors are gone, comes here: it must not spin.
                log::error!("waiting for doorbells failed: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Ends one thread's [`wait`](Self::wait), now or the next.
    pub fn wake(&self) {
        wakeup::wake(self.own.as_fd());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// The shortest of many sleeps of 100 µs: the machine may be busy, but not always.
    #[test]
    fn a_short_sleep_is_not_rounded_up() {
        let waiter = Waiter::new().expect("a waiter");
        let sleep = || {
            let begun = Instant::now();
            waiter.wait(Some(Duration::from_micros(100)));
            begun.elapsed()
        };
        let shortest = (0..100).map(|_| sleep()).min().expect("sleeps");
        assert!((Duration::from_micros(100)..Duration::from_millis(1)).contains(&shortest), "{shortest:?}");
    }

    #[test]
    fn a_ring_is_seen_once_by_a_sleep_that_has_a_time() {
        let waiter = Waiter::new().expect("a waiter");
        waiter.wake();
        let begun = Instant::now();
        waiter.wait(Some(Duration::from_secs(3600)));
        waiter.wait(Some(Duration::from_millis(5)));
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }
}
