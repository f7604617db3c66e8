//! Heap memory that is aligned as attachments are.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use pycrust_protocol::attachments::ALIGNMENT;

/// Bytes on the heap, aligned to [`ALIGNMENT`].
pub(crate) struct Aligned {
    /// Where they begin; dangling if there are none.
    start: NonNull<u8>,
    /// How many there are.
    len: usize,
}

// SAFETY: it owns its bytes as a `Vec<u8>` does.
unsafe impl Send for Aligned {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Aligned {}

impl Aligned {
    /// The layout of `len` bytes, `len` of a slice or of an attachment that was checked.
    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, ALIGNMENT).unwrap_or_else(|_| handle_alloc_error(Layout::new::<u8>()))
    }

    /// Memory from `allocate`, which must give `len` bytes; nothing is allocated for none.
    fn with(len: usize, allocate: impl FnOnce(Layout) -> *mut u8) -> Self {
        let layout = Self::layout(len);
        let start = if len == 0 {
            NonNull::new(std::ptr::without_provenance_mut(ALIGNMENT))
        } else {
            NonNull::new(allocate(layout))
        };
        Self { start: start.unwrap_or_else(|| handle_alloc_error(layout)), len }
    }

    /// Zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        // SAFETY: only called with a layout that is not empty.
        Self::with(len, |layout| unsafe { alloc_zeroed(layout) })
    }

    /// A copy.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        // SAFETY: only called with a layout that is not empty.
        let made = Self::with(bytes.len(), |layout| unsafe { alloc(layout) });
        // SAFETY: both have this many bytes, and the new ones are nobody else's.
        unsafe { made.start.copy_from_nonoverlapping(NonNull::from_ref(bytes).cast(), bytes.len()) };
        made
    }

    /// Where the bytes begin.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated with this very layout.
            unsafe { dealloc(self.start.as_ptr(), Self::layout(self.len)) };
        }
    }
}
