//! How a thread of this process is woken: an eventfd that is never read, since sleepers wait for its edge. No other
//! process has it, so that nobody can make writing to it block.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// One that nobody has used.
pub(crate) fn create() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Wakes. `EAGAIN` means that this was done already.
pub(crate) fn wake(wakeup: BorrowedFd<'_>) {
    let _ = rustix::io::write(wakeup, &1_u64.to_ne_bytes());
}
