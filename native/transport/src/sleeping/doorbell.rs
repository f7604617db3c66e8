//! Doorbells between processes: pipes that nobody waits for by reading, since sleepers wait for their edge.
//!
//! What a process rings must not be able to hold it up, whatever the other side does with its own descriptor. The flags
//! of an eventfd belong to all who have it, so one side could make the other's write block and then fill the counter.
//! A pipe can be opened again, and each side uses nothing but an end that it has opened itself, with flags that nobody
//! else can change. It is opened for both directions: then the peer's death is no hang-up here, and no SIGPIPE.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::fork::Descriptor;

/// Bytes that a doorbell has room for: a page, the least that a pipe may have.
const ROOM: usize = 4096;

/// Announcements after which a doorbell is emptied; each may bring a ring, of one byte. Far fewer than it has room for.
const EMPTIED_AFTER: u64 = 1024;

/// One end of a doorbell, opened by this process.
#[derive(Debug)]
pub(crate) struct Doorbell {
    end: Descriptor,
    /// Announcements since it was emptied.
    announced: AtomicU64,
}

impl Doorbell {
    /// Makes one: this side's end, and a descriptor from which the other side opens its own.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let (first, _) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A user may have few pages in pipes.
        let _ = rustix::pipe::fcntl_setpipe_size(&first, ROOM);
        Ok((Self::open(&first)?, first))
    }

    /// Opens an end of what the other side has made.
    ///
    /// # Errors
    /// What is no pipe is refused before anything is asked of it that could wait for a file system.
    pub(crate) fn open(given: impl AsFd) -> io::Result<Self> {
        let path = format!("/proc/thread-self/fd/{}", given.as_fd().as_raw_fd());
        let leads_to = rustix::fs::readlink(&path, Vec::new())?;
        if !leads_to.as_bytes().starts_with(b"pipe:[") {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a doorbell that is no pipe"));
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let end = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { end: end.into(), announced: AtomicU64::new(0) })
    }

    /// What becomes readable.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.end
    }

    /// Rings. If it is full, it rings already.
    pub(crate) fn ring(&self) {
        let _ = rustix::io::write(&self.end, &[1]);
    }

    /// Call before each announcement that makes the other side ring: now and then it empties the doorbell, into which
    /// no ring would fit at some time, and rings once, for whoever waits for an edge that is gone with the bytes.
    pub(crate) fn before_announcing(&self) {
        if self.announced.fetch_add(1, Ordering::Relaxed) % EMPTIED_AFTER == EMPTIED_AFTER - 1 {
            let mut bytes = [0; ROOM];
            // A peer that fills it as fast as it is emptied keeps nobody here.
            for _ in 0..16 {
                if rustix::io::read(&self.end, &mut bytes) != Ok(ROOM) {
                    break;
                }
            }
            self.ring();
        }
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::fcntl_setfl;

    use super::*;
    use crate::sleeping::waiter::Waiter;

    fn is_rung(bell: &Doorbell) -> bool {
        poll(&mut [PollFd::new(bell, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
    }

    #[test]
    fn a_ring_is_heard_at_the_other_end_and_again_after_it_was_not_read() {
        let (here, given) = Doorbell::create().expect("a doorbell");
        let there = Doorbell::open(&given).expect("its other end");
        drop(given);
        let waiter = Waiter::new().expect("a waiter");
        waiter.add(there.as_fd(), 0).expect("added");
        for _ in 0..3 {
            here.ring();
            // Without an edge this would never end.
            waiter.wait(None);
        }
    }

    #[test]
    fn a_peer_that_makes_its_descriptor_block_and_fills_it_holds_nobody_up() {
        let (here, given) = Doorbell::create().expect("a doorbell");
        let there = Doorbell::open(&given).expect("its other end");
        while rustix::io::write(&given, &[1; 64]).is_ok() || rustix::io::write(&there, &[1]).is_ok() {}
        fcntl_setfl(&given, OFlags::empty()).expect("flags of its own");
        fcntl_setfl(&there, OFlags::empty()).expect("flags of its own");
        for _ in 0..2 * EMPTIED_AFTER {
            here.ring();
        }
        // Emptied by whoever waits for it.
        for _ in 0..EMPTIED_AFTER {
            here.before_announcing();
        }
        let waiter = Waiter::new().expect("a waiter");
        waiter.add(here.as_fd(), 0).expect("added");
        waiter.wait(Some(Duration::ZERO));
        there.ring();
        waiter.wait(None);
    }

    #[test]
    fn rings_fit_for_ever() {
        let (here, given) = Doorbell::create().expect("a doorbell");
        let there = Doorbell::open(&given).expect("its other end");
        let waiter = Waiter::new().expect("a waiter");
        waiter.add(here.as_fd(), 0).expect("added");
        for _ in 0..20 * EMPTIED_AFTER {
            here.before_announcing();
            there.ring();
            waiter.wait(None);
        }
    }

    #[test]
    fn the_end_of_the_other_side_is_neither_a_ring_nor_a_signal() {
        let (here, given) = Doorbell::create().expect("a doorbell");
        drop(Doorbell::open(&given).expect("its other end"));
        drop(given);
        assert!(!is_rung(&here));
        here.ring();
        assert!(is_rung(&here));
    }

    #[test]
    fn what_is_no_pipe_is_no_doorbell() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let file = std::fs::File::open("/proc/self/exe").expect("a file");
        let eventfd = crate::sleeping::wakeup::create().expect("an eventfd");
        for given in [socket.as_fd(), file.as_fd(), eventfd.as_fd(), io::stdin().as_fd()] {
            if let Ok(bell) = Doorbell::open(given) {
                let path = format!("/proc/self/fd/{}", bell.as_fd().as_raw_fd());
                let leads_to = std::fs::read_link(path).expect("a link");
                assert!(leads_to.to_string_lossy().starts_with("pipe:["), "{leads_to:?}");
            }
        }
        assert!(Doorbell::open(socket.as_fd()).is_err());
        assert!(Doorbell::open(file.as_fd()).is_err());
        assert!(Doorbell::open(eventfd.as_fd()).is_err());
    }
}
