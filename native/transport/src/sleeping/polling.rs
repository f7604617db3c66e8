//! Waiting for descriptors.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A duration as the kernel takes it; one too long becomes a day.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: 86_400, tv_nsec: 0 })
}

/// Waits until there is something to read, or an end; `false` when the time is up.
pub(crate) fn poll_until(fd: BorrowedFd<'_>, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            // An error says that nothing will ever come: the read that follows tells more.
            Ok(_) | Err(_) => return true,
        }
    }
}
