//! Doorbells: nonblocking eventfds that are rung and never read, since sleepers wait for their edge.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// A doorbell that nobody has rung.
pub(crate) fn create() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Rings. `EAGAIN` means that it is rung already.
pub(crate) fn ring(doorbell: BorrowedFd<'_>) {
    let _ = rustix::io::write(doorbell, &1_u64.to_ne_bytes());
}
