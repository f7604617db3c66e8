//! What a forked child must let go of: the sockets, doorbells and locks of its parent.
//!
//! A child that keeps a socket or a lock open (a data loader's worker, say) makes its parent look alive
//! after the parent's death.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{Mode, OFlags};

/// Descriptors that can be remembered: 256 connections have some 1,300.
const CAPACITY: usize = 4096;

/// Every open descriptor of this crate; -1 is a free place. Without a lock, since another thread could
/// hold it at the fork.
static OPEN: [AtomicI32; CAPACITY] = [const { AtomicI32::new(-1) }; CAPACITY];

/// A descriptor that a forked child lets go of.
#[derive(Debug)]
pub(crate) struct Guarded(OwnedFd);

impl From<OwnedFd> for Guarded {
    fn from(fd: OwnedFd) -> Self {
        register(&fd);
        Self(fd)
    }
}

impl AsFd for Guarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        forget(&self.0);
    }
}

/// A descriptor of a connection, open for as long as anybody has it.
#[derive(Debug, Clone)]
pub struct Descriptor(Arc<Guarded>);

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd.into()))
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Remembers a descriptor.
pub(crate) fn register(fd: &impl AsFd) {
    let raw = fd.as_fd().as_raw_fd();
    let free =
        |place: &&AtomicI32| place.compare_exchange(-1, raw, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    if OPEN.iter().find(free).is_none() {
        log::warn!("too many descriptors to remember: a forked child will keep some open");
    }
}

/// Forgets a descriptor that is about to be closed.
pub(crate) fn forget(fd: &impl AsFd) {
    let raw = fd.as_fd().as_raw_fd();
    let here =
        |place: &&AtomicI32| place.compare_exchange(raw, -1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    let _ = OPEN.iter().find(here);
}

/// In a forked child: lets go of the parent's sockets, doorbells and locks.
///
/// Connections, claims and acceptors of the parent are of no use in the child; dropping them there does nothing.
pub(crate) fn let_go() {
    // Put in place of each descriptor, so that its number stays taken: whoever owns it closes it later.
    let Ok(nothing) = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    for place in &OPEN {
        let raw: RawFd = place.swap(-1, Ordering::AcqRel);
        if raw >= 0 {
            replace(raw, nothing.as_fd());
        }
    }
}

/// Makes descriptor `raw` refer to `nothing`.
fn replace(raw: RawFd, nothing: BorrowedFd<'_>) {
    use std::mem::ManuallyDrop;
    use std::os::fd::FromRawFd;

    // SAFETY: a registered descriptor is open until `forget`, and `ManuallyDrop` leaves the closing to its
    // owner.
    let mut target = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(raw) });
    let _ = rustix::io::dup3(nothing, &mut target, rustix::io::DupFlags::CLOEXEC);
}
