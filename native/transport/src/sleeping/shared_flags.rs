//! The connection's shared flags: a sealed memfd that both sides map.
//!
//! Each word has one writer and a cache line of its own. Values come from the other process and are
//! trusted with nothing: a wrong one costs a needless look or keeps this connection waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pycrust_protocol::limits::MAX_IN_FLIGHT;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Which end of a connection this process is; it decides which shared flags it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Sends requests, receives responses.
    Client,
    /// Receives requests, sends responses.
    Worker,
}

/// How far a call is, as its worker notes it: for a caller who asks why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallProgress {
    /// The worker has not taken it up, as far as this side can see.
    Sent,
    /// It waits for its turn.
    Queued,
    /// A thread has it and waits for the interpreter.
    WaitsForInterpreter,
    /// Its handler has begun, or its arguments are being read for that.
    Runs,
}

/// The seals without which a peer could shrink the memory under our feet.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// A word on a cache line of its own.
#[repr(C, align(64))]
pub(crate) struct Word(pub(crate) AtomicU64);

/// The flags of the frames that travel one way.
#[repr(C)]
pub(crate) struct Direction {
    /// Small frames published; the sender writes it.
    pub(crate) small_published: Word,
    /// Small frames whose slot is free again; the receiver writes it.
    pub(crate) small_consumed: Word,
    /// Bulk frames published; the sender writes it.
    pub(crate) bulk_published: Word,
    /// Bulk frames whose slot is free again; the receiver writes it.
    pub(crate) bulk_consumed: Word,
    /// The sender waits for room: an epoch, or 0; the sender writes it.
    pub(crate) space_wanted: Word,
}

/// All flags of a connection.
#[repr(C)]
struct Layout {
    /// Requests, then responses.
    directions: [Direction; 2],
    /// The client sleeps, the worker sleeps: an epoch, or 0.
    asleep: [Word; 2],
    /// Calls that were cancelled, so that the worker need not look at every word; the client counts.
    cancels: Word,
    /// One word for each slot of calls in flight; the client writes them.
    cancel: [AtomicU32; MAX_IN_FLIGHT],
    /// How far the call in each slot is; the worker writes them.
    progress: [AtomicU32; MAX_IN_FLIGHT],
}

/// A mapping of a connection's flags.
pub(crate) struct SharedFlags {
    /// The mapped memory, unmapped on drop.
    layout: NonNull<Layout>,
    /// The end that this process is.
    side: Side,
}

// SAFETY: the memory is made of atomics only and stays mapped for the life of this value.
unsafe impl Send for SharedFlags {}
// SAFETY: as above.
unsafe impl Sync for SharedFlags {}

impl SharedFlags {
    /// Makes the flags of a new connection; the worker does, and hands the descriptor to the client.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let memfd =
            rustix::fs::memfd_create(c"pycrust-flags", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&memfd, size_of::<Layout>() as u64)?;
        rustix::fs::fcntl_add_seals(&memfd, SEALS)?;
        Ok((Self::map(memfd.as_fd(), Side::Worker)?, memfd))
    }

    /// Maps the flags that a worker handed over, once size and seals are right.
    pub(crate) fn open(memfd: BorrowedFd<'_>) -> io::Result<Self> {
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let seals = rustix::fs::fcntl_get_seals(memfd)
            .map_err(|error| invalid(format!("the shared flags are no memfd: {error}")))?;
        if !seals.contains(SEALS) {
            return Err(invalid(format!("the shared flags are not sealed: {seals:?}")));
        }
        let size = rustix::fs::fstat(memfd)?.st_size;
        if usize::try_from(size) != Ok(size_of::<Layout>()) {
            return Err(invalid(format!("the shared flags have {size} bytes, not {}", size_of::<Layout>())));
        }
        Self::map(memfd, Side::Client)
    }

    fn map(memfd: BorrowedFd<'_>, side: Side) -> io::Result<Self> {
        // SAFETY: a new mapping where the kernel likes it; nobody else has its address.
        let address = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                size_of::<Layout>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memfd,
                0,
            )
        }?;
        let layout = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at null"))?;
        Ok(Self { layout, side })
    }

    fn layout(&self) -> &Layout {
        // SAFETY: mapped with this size until drop, aligned to a page, never shorter since the memfd is
        // sealed; atomics are valid whatever the bytes, also while the peer writes them.
        unsafe { self.layout.as_ref() }
    }

    /// The flags of what this side sends.
    pub(crate) fn outgoing(&self) -> &Direction {
        match self.side {
            Side::Client => &self.layout().directions[0],
            Side::Worker => &self.layout().directions[1],
        }
    }

    /// The flags of what this side receives.
    pub(crate) fn incoming(&self) -> &Direction {
        match self.side {
            Side::Client => &self.layout().directions[1],
            Side::Worker => &self.layout().directions[0],
        }
    }

    /// The word by which this side says that it sleeps.
    pub(crate) fn own_sleep(&self) -> &AtomicU64 {
        match self.side {
            Side::Client => &self.layout().asleep[0].0,
            Side::Worker => &self.layout().asleep[1].0,
        }
    }

    /// The word by which the peer says that it sleeps.
    pub(crate) fn peer_sleep(&self) -> &AtomicU64 {
        match self.side {
            Side::Client => &self.layout().asleep[1].0,
            Side::Worker => &self.layout().asleep[0].0,
        }
    }

    /// Cancels a call.
    pub(crate) fn cancel(&self, id: u64) {
        let (slot, mark) = cancel_mark(id);
        self.layout().cancel[slot].store(mark, Ordering::Release);
        self.layout().cancels.0.fetch_add(1, Ordering::Release);
    }

    /// How many calls were cancelled so far; a change asks for a look.
    pub(crate) fn cancels(&self) -> u64 {
        self.layout().cancels.0.load(Ordering::Acquire)
    }

    /// Notes how far a call is.
    pub(crate) fn note(&self, id: u64, progress: CallProgress) {
        let word = &self.layout().progress[(id & 0xffff) as usize];
        // Nothing is read on the strength of it.
        word.store(((id >> 16) as u32) << PROGRESS_BITS | progress as u32, Ordering::Relaxed);
    }

    /// How far a call is.
    pub(crate) fn progress(&self, id: u64) -> CallProgress {
        let word = self.layout().progress[(id & 0xffff) as usize].load(Ordering::Relaxed);
        if word >> PROGRESS_BITS != ((id >> 16) as u32) << PROGRESS_BITS >> PROGRESS_BITS {
            return CallProgress::Sent;
        }
        match word & ((1 << PROGRESS_BITS) - 1) {
            1 => CallProgress::Queued,
            2 => CallProgress::WaitsForInterpreter,
            3 => CallProgress::Runs,
            _ => CallProgress::Sent,
        }
    }

    /// Whether a call was cancelled.
    pub(crate) fn cancelled(&self, id: u64) -> bool {
        let (slot, mark) = cancel_mark(id);
        self.layout().cancel[slot].load(Ordering::Acquire) == mark
    }
}

impl Drop for SharedFlags {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this size, and no reference outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.layout.as_ptr().cast(), size_of::<Layout>()) };
    }
}

/// Bits of a progress word that say how far the call is; the others are of its sequence number.
const PROGRESS_BITS: u32 = 2;

/// Slot and cancel mark of a call: 31 bits of its sequence number, and a bit that makes it nonzero. A mark
/// left by the slot's earlier call is another one.
fn cancel_mark(id: u64) -> (usize, u32) {
    ((id & 0xffff) as usize, (id >> 16) as u32 | 1 << 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memfd(size: usize, seals: SealFlags) -> OwnedFd {
        let memfd = rustix::fs::memfd_create(c"test", MemfdFlags::ALLOW_SEALING).expect("a memfd");
        rustix::fs::ftruncate(&memfd, size as u64).expect("a size");
        rustix::fs::fcntl_add_seals(&memfd, seals).expect("seals");
        memfd
    }

    #[test]
    fn words_that_could_be_pulled_away_are_refused() {
        const SIZE: usize = size_of::<Layout>();
        let said = |fd: BorrowedFd<'_>| SharedFlags::open(fd).err().expect("refused").to_string();
        for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::SHRINK | SealFlags::GROW] {
            assert!(said(memfd(SIZE, seals).as_fd()).contains("not sealed"));
        }
        for size in [0, SIZE - 1, SIZE + 1, 2 * SIZE] {
            assert!(said(memfd(size, SEALS).as_fd()).contains("bytes, not"));
        }
        assert!(said(io::stdin().as_fd()).contains("no memfd"));
        assert!(SharedFlags::open(memfd(SIZE, SEALS).as_fd()).is_ok());
    }

    #[test]
    fn one_side_s_outgoing_words_are_the_other_s_incoming() {
        let (worker, memfd) = SharedFlags::create().expect("flags");
        let client = SharedFlags::open(memfd.as_fd()).expect("the same flags");
        client.outgoing().small_published.0.store(3, Ordering::Relaxed);
        worker.outgoing().bulk_consumed.0.store(4, Ordering::Relaxed);
        client.own_sleep().store(5, Ordering::Relaxed);
        assert_eq!(worker.incoming().small_published.0.load(Ordering::Relaxed), 3);
        assert_eq!(client.incoming().bulk_consumed.0.load(Ordering::Relaxed), 4);
        assert_eq!(worker.peer_sleep().load(Ordering::Relaxed), 5);
        assert_eq!(worker.own_sleep().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_call_s_progress_is_not_that_of_the_one_before_it_in_its_slot() {
        let (worker, memfd) = SharedFlags::create().expect("flags");
        let client = SharedFlags::open(memfd.as_fd()).expect("the same flags");
        let (first, second) = (u64::from(u32::MAX) << 16 | 7, 1_u64 << 48 | 7);
        assert_eq!(client.progress(first), CallProgress::Sent);
        for progress in [CallProgress::Queued, CallProgress::WaitsForInterpreter, CallProgress::Runs] {
            worker.note(first, progress);
            assert_eq!(client.progress(first), progress);
            assert_eq!(client.progress(first + (1 << 16)), CallProgress::Sent);
        }
        worker.note(second, CallProgress::Queued);
        assert_eq!([first, second].map(|id| client.progress(id)), [CallProgress::Sent, CallProgress::Queued]);
    }
}
