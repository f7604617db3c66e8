//! Bytes that were received and stay where they are, for as long as anybody looks at them.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pycrust_protocol::header::HEADER_LEN;

use crate::connection::private_mapping::{Private, Segment, whole_pages};
use crate::iceoryx::iox;
use crate::iceoryx::node::Node;
use crate::memory::aligned::Aligned;
use crate::process::Process;
use crate::sync::Mutex;

/// Bytes of a frame, in shared memory or copied out of it. A clone is another view of the same bytes.
///
/// A view may outlive its frame, its connection and the other process, and may go from thread to thread. The
/// bytes are read-only; a peer of the same user could change them, as it could anything of this process.
#[derive(Clone)]
pub struct View {
    /// Where the bytes begin, inside what `owner` keeps.
    start: NonNull<u8>,
    /// How many there are.
    len: usize,
    /// Keeps them.
    owner: Arc<Owner>,
}

/// What keeps a view's bytes where they are.
enum Owner {
    /// A sample in shared memory.
    Sample(Pinned),
    /// The heap.
    Heap(#[expect(dead_code, reason = "it keeps the bytes")] Aligned),
}

// SAFETY: a sample of a thread-safe service is `Send`: its port's lock is taken when it is dropped. Nothing is
// done with it through a shared reference; the header behind its address is only read.
unsafe impl Send for Owner {}
// SAFETY: as above.
unsafe impl Sync for Owner {}

// SAFETY: the bytes are only read, and their owner may be dropped on any thread.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

/// A received sample that is not given back yet.
struct Pinned {
    /// The sample. Not dropped in a forked child, whose parent's it is.
    sample: ManuallyDrop<iox::Sample>,
    /// Its header.
    header: NonNull<[u8; HEADER_LEN]>,
    /// The addresses of its payload.
    payload: Range<usize>,
    /// Pages of it that are mapped privately, by their addresses. Locked for a look at a few of them.
    private: Mutex<Vec<Range<usize>>>,
    /// The port that it came by: once a port is dropped, iceoryx2 lets the sender use its samples again, also
    /// those that somebody still holds. So a port lives until its last view is gone.
    port: Arc<InPort>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.port.process.is_current() {
            // SAFETY: dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.sample) };
            self.port.pinned.fetch_sub(1, Ordering::Release);
        }
    }
}

/// A receiving port and what is known of its samples.
pub(crate) struct InPort {
    /// The port. Not dropped in a forked child.
    receiver: ManuallyDrop<iox::Receiver>,
    /// Samples that views keep.
    pinned: AtomicUsize,
    /// Attachments that were copied since too many samples were kept.
    copied: AtomicU64,
    /// A private mapping of the segment that the last frame with one came in. Locked while it is made.
    segment: Mutex<Mapped>,
    /// The process that made the port.
    process: Process,
    /// The node that the port needs: last, since it has to outlive the port.
    _node: Arc<Node>,
}

/// How long a private mapping that failed is not tried again: the attempt costs more than a copy.
const TRIED_AGAIN: Duration = Duration::from_secs(1);

/// A port's private mapping.
#[derive(Default)]
struct Mapped {
    /// The mapping, and when it was used last.
    segment: Option<(Arc<Segment>, Instant)>,
    /// When one failed last.
    failed: Option<Instant>,
}

impl InPort {
    /// Shares a port.
    pub(crate) fn new(receiver: iox::Receiver, node: Arc<Node>) -> Arc<Self> {
        Arc::new(Self {
            receiver: ManuallyDrop::new(receiver),
            pinned: AtomicUsize::new(0),
            copied: AtomicU64::new(0),
            segment: Mutex::default(),
            process: Process::current(),
            _node: node,
        })
    }

    /// The port.
    pub(crate) fn receiver(&self) -> &iox::Receiver {
        &self.receiver
    }

    /// Samples that views keep.
    pub(crate) fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Acquire)
    }

    /// Attachments that were copied since too many samples were kept.
    pub(crate) fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// A private mapping of the segment that holds this header. `None` if there can't be one.
    fn segment(&self, header: NonNull<[u8; HEADER_LEN]>) -> Option<Arc<Segment>> {
        let mut known = self.segment.lock();
        let now = Instant::now();
        let segment = match known.segment.take() {
            Some((segment, _)) if segment.shows(header) => segment,
            _ if known.failed.is_some_and(|at| now - at < TRIED_AGAIN) => return None,
            _ => match Segment::map(header) {
                Ok(segment) => segment,
                Err(error) => {
                    log::debug!("shared memory can't be mapped privately: {error}");
                    known.failed = Some(now);
                    return None;
                }
            },
        };
        known.segment = Some((Arc::clone(&segment), now));
        Some(segment)
    }

    /// Lets go of a private mapping that was not used for `idle`, so that it does not keep the memory of a segment
    /// that the sender has let go; whether there still is one.
    pub(crate) fn forget_segment(&self, idle: Duration) -> bool {
        // Somebody makes one: then it is not idle.
        let Some(mut known) = self.segment.try_lock() else { return true };
        known.segment.take_if(|(_, used)| used.elapsed() >= idle);
        known.segment.is_some()
    }

    /// Counts an attachment that was copied since too many samples were kept.
    pub(crate) fn count_copy(&self) {
        self.copied.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InPort {
    fn drop(&mut self) {
        if self.process.is_current() {
            // SAFETY: dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.receiver) };
        }
    }
}

impl View {
    /// Keeps a sample of `port`.
    pub(crate) fn pin(sample: iox::Sample, port: &Arc<InPort>) -> Self {
        // Asked for once: each look at the payload takes the port's lock.
        let bytes = sample.payload();
        let (start, len) = (NonNull::from_ref(bytes).cast(), bytes.len());
        port.pinned.fetch_add(1, Ordering::Relaxed);
        let pinned = Pinned {
            header: NonNull::from_ref(&sample.user_header().0),
            payload: start.addr().get()..start.addr().get() + len,
            private: Mutex::default(),
            sample: ManuallyDrop::new(sample),
            port: Arc::clone(port),
        };
        Self { start, len, owner: Arc::new(Owner::Sample(pinned)) }
    }

    /// A copy on the heap, aligned as a sample is.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let copy = Aligned::copy_of(bytes);
        Self { start: copy.start(), len: bytes.len(), owner: Arc::new(Owner::Heap(copy)) }
    }

    /// A view of some of the bytes.
    ///
    /// # Panics
    /// If the range is not inside the view.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let part = &self[range];
        Self { start: NonNull::from_ref(part).cast(), len: part.len(), owner: Arc::clone(&self.owner) }
    }

    /// The bytes as memory that may be written, without a copy: pages that are written become this process's
    /// own. `None` where that can't be: the view is copied, does not begin with a page of its sample, ends in a
    /// page that is not its sample's alone, or another such memory for these pages lives.
    pub fn private(&self) -> Option<Private> {
        let Owner::Sample(pinned) = &*self.owner else { return None };
        if !pinned.port.process.is_current() {
            return None;
        }
        let pages = whole_pages(self, &pinned.payload)?;
        let mut taken = pinned.private.lock();
        if taken.iter().any(|other| other.start < pages.end && pages.start < other.end) {
            return None;
        }
        let segment = pinned.port.segment(pinned.header)?;
        taken.push(pages.clone());
        drop(taken);
        Some(Private::new(self.clone(), segment, &pages))
    }

    /// Pages are not mapped privately any more.
    pub(crate) fn release(&self, pages: &Range<usize>) {
        if let Owner::Sample(pinned) = &*self.owner {
            pinned.private.lock().retain(|other| other != pages);
        }
    }

    /// Whether the bytes are in shared memory, not copied.
    pub fn is_shared(&self) -> bool {
        matches!(*self.owner, Owner::Sample(_))
    }
}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `owner` keeps this many bytes there, initialised, and this process writes none of them.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("len", &self.len)
            .field("shared", &self.is_shared())
            .finish_non_exhaustive()
    }
}
