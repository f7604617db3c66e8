//! Received bytes that may be written: the sender never sees it, and neither does the next frame.
//!
//! A second mapping of the sender's segment, copy on write. A page that nobody has written through it shows the
//! shared bytes, so nothing is copied and, after the first touch of a page, no fault is taken. A page that was
//! written is this process's own until it is let go, which has to be before the sender can use it again.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::Arc;

use pycrust_protocol::header::HEADER_LEN;
use rustix::fs::{Mode, OFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::connection::view::View;
use crate::memory::ownership;
use crate::memory::reserve::{self, PAGE};
use crate::process::Process;

/// Writable bytes over those of a [`View`]: what is written stays here. See [`View::private`].
///
/// There is one at a time for each page of a view. It may go from thread to thread.
pub struct Private {
    /// Where they begin, in `segment`.
    start: NonNull<u8>,
    /// How many there are.
    len: usize,
    /// Their pages, as offsets in `segment`.
    pages: Range<usize>,
    /// The mapping.
    segment: Arc<Segment>,
    /// Keeps the sample, and with it the pages from being used again.
    view: View,
}

// SAFETY: the bytes belong to whoever has the value; the mapping and the view may be dropped on any thread.
unsafe impl Send for Private {}
// SAFETY: as above; a shared reference gives an address and nothing else.
unsafe impl Sync for Private {}

impl Private {
    /// Bytes of `view`, which lies on whole pages that are claimed for it.
    pub(crate) fn new(view: View, segment: Arc<Segment>, pages: &Range<usize>) -> Self {
        let pages = pages.start - segment.shared.start..pages.end - segment.shared.start;
        // SAFETY: the segment covers the pages.
        let start = unsafe { segment.start.add(pages.start) };
        Self { start, len: view.len(), pages, segment, view }
    }

    /// Where the bytes begin. They may be written through it by whoever owns this.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // A forked child has a mapping of its own, and no sample to give back.
        if self.segment.process.is_current() {
            self.segment.restore(&self.pages);
            let shared = self.segment.shared.start;
            self.view.release(&(self.pages.start + shared..self.pages.end + shared));
        }
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Private").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A copy-on-write mapping of a whole segment.
pub(crate) struct Segment {
    /// The addresses of the segment's shared mapping.
    shared: Range<usize>,
    /// Where this mapping begins; unmapped on drop.
    start: NonNull<u8>,
    /// The process that made it.
    process: Process,
}

// SAFETY: a mapping may be used and unmapped on any thread.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// Maps the segment whose shared mapping holds a sample's header.
    pub(crate) fn map(header: NonNull<[u8; HEADER_LEN]>) -> io::Result<Arc<Self>> {
        let found = reserve::mapping_of(header.addr().get())?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(rustix::fs::open(&found.path, flags, Mode::empty())?);
        if file.metadata()?.ino() != found.inode {
            return Err(io::Error::other("the segment has another file's name by now"));
        }
        // Not counted as memory that might be needed: a pool is much larger than what is ever used of it.
        // SAFETY: a new mapping where the kernel likes it; nobody else has its address.
        let address = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                found.range.len(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
                &file,
                found.offset,
            )
        }?;
        let start = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at null"))?;
        let segment = Arc::new(Self { shared: found.range, start, process: Process::current() });
        if segment.shows(header) {
            Ok(segment)
        } else {
            Err(io::Error::other("the segment was replaced while it was mapped"))
        }
    }

    /// Whether this is a mapping of the segment that holds this header: an older segment's may have had the same
    /// addresses. It has another header there, since no two frames were sent at the same nanosecond.
    pub(crate) fn shows(&self, header: NonNull<[u8; HEADER_LEN]>) -> bool {
        let Some(offset) = header.addr().get().checked_sub(self.shared.start) else { return false };
        if offset + HEADER_LEN > self.shared.len() {
            return false;
        }
        // SAFETY: inside this mapping and the sample's; headers are on pages that are never written here.
        unsafe { self.start.add(offset).cast::<[u8; HEADER_LEN]>().read() == header.read() }
    }

    /// Makes pages, given as offsets, show the shared bytes again.
    fn restore(&self, pages: &Range<usize>) {
        // SAFETY: inside the mapping.
        let start = unsafe { self.start.add(pages.start) };
        if !ownership::may_be_own(start.addr().get(), pages.len()) {
            return;
        }
        // SAFETY: whole pages of this mapping that nobody uses any more.
        let done = unsafe { rustix::mm::madvise(start.as_ptr().cast(), pages.len(), Advice::LinuxDontNeed) };
        if let Err(error) = done {
            // It can't fail for a mapping like this one; wrong bytes in a later call would be worse.
            log::error!("private pages can't be let go: {error}");
            std::process::abort();
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nobody has bytes of it.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.shared.len()) };
    }
}

/// The pages that a view's bytes begin and end in, if they begin with the first of them and all of them lie
/// inside `payload`, which is the view's own sample.
pub(crate) fn whole_pages(view: &[u8], payload: &Range<usize>) -> Option<Range<usize>> {
    let page = rustix::param::page_size().max(PAGE);
    let start = view.as_ptr().addr();
    let end = start.checked_add(view.len())?.checked_next_multiple_of(page)?;
    let whole = start.is_multiple_of(page) && start >= payload.start && end <= payload.end;
    (whole && end > start).then_some(start..end)
}
