//! Memory that is filled in place and sent without a copy, and attachments of any kind on their way out.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::connection::view::View;
use crate::error::SendError;
use crate::iceoryx::iox;
use crate::iceoryx::node::Node;
use crate::memory::aligned::Aligned;
use crate::memory::prefault::Pages;
use crate::memory::reserve::place;
use crate::process::Process;
use crate::sync::Mutex;

/// Bytes at the start of a block that are kept for what precedes the attachments in a sample. A frame with
/// more is copied.
pub(crate) const HEADROOM: usize = 8 << 10;

/// A sample of a connection's that is not sent yet, from which [pieces](Piece) are taken.
///
/// Pieces that are sent in one frame, together with all others of their block that still live, are sent where
/// they are. Otherwise they are copied.
#[derive(Clone)]
pub struct Block(Arc<Inner>);

/// What the pieces of a block share.
pub(crate) struct Inner {
    /// The sample. Not dropped in a forked child, whose parent's it is.
    loan: ManuallyDrop<iox::Loan>,
    /// Where its payload begins.
    start: NonNull<u8>,
    /// Bytes of its payload.
    len: usize,
    /// Bytes that are used, from the start.
    used: Mutex<usize>,
    /// What is known of its pages.
    pages: Arc<Pages>,
    /// The generation of those.
    generation: u64,
    /// Which sending port it belongs to.
    origin: u64,
    /// The port's loans, this one among them.
    loans: Arc<AtomicUsize>,
    /// The process that made it.
    process: Process,
    /// The node that the sample needs: last, since it has to outlive it.
    node: Arc<Node>,
}

// SAFETY: the sample of a thread-safe service is `Send` and is not used through a shared reference; its payload
// belongs to the pieces, each of which has a part of its own.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// What a new block belongs to.
pub(crate) struct Origin {
    /// What is known of the port's pages.
    pub(crate) pages: Arc<Pages>,
    /// The generation of those that it belongs to.
    pub(crate) generation: u64,
    /// The port's number.
    pub(crate) number: u64,
    /// The port's loans; the new one is counted already.
    pub(crate) loans: Arc<AtomicUsize>,
    /// The port's node.
    pub(crate) node: Arc<Node>,
}

impl Inner {
    /// Takes a loan, whose payload belongs to nobody else.
    pub(crate) fn new(mut loan: iox::Loan, origin: Origin) -> Self {
        let payload = loan.payload_mut();
        let (start, len) = (NonNull::from_mut(payload).cast(), payload.len());
        let Origin { pages, generation, number, loans, node } = origin;
        Self {
            loan: ManuallyDrop::new(loan),
            start,
            len,
            used: Mutex::new(HEADROOM.min(len)),
            pages,
            generation,
            origin: number,
            loans,
            process: Process::current(),
            node,
        }
    }

    /// The port that it belongs to.
    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    /// Where the payload begins.
    pub(crate) fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Bytes of the payload.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that are used, from the start.
    pub(crate) fn used(&self) -> usize {
        *self.used.lock()
    }

    /// Sees to it that the first `len` bytes are there.
    pub(crate) fn populate(&self, len: usize) -> Result<(), SendError> {
        self.pages
            .populate(self.start.as_ptr(), len.min(self.len), self.generation)
            .map_err(|error| SendError::NoMemory { len, reason: error.to_string() })
    }

    /// The whole payload, when no piece is left.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: exclusive, since pieces keep the block shared; mapped shared memory is initialised.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// The sample, to be sent.
    pub(crate) fn into_loan(self) -> iox::Loan {
        let mut this = ManuallyDrop::new(self);
        this.loans.fetch_sub(1, Ordering::AcqRel);
        // SAFETY: `this` is not dropped and not used after, so each field is taken once.
        unsafe {
            let loan = ManuallyDrop::take(&mut this.loan);
            std::ptr::drop_in_place(&raw mut this.pages);
            std::ptr::drop_in_place(&raw mut this.loans);
            std::ptr::drop_in_place(&raw mut this.node);
            loan
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.process.is_current() {
            // SAFETY: dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.loan) };
            self.loans.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Block {
    /// A block of this sample.
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Takes `len` bytes, aligned as an attachment is. Their content is not defined. `None` if the block has
    /// no more room.
    ///
    /// # Errors
    /// [`SendError::NoMemory`] if /dev/shm is full.
    pub fn take(&self, len: usize) -> Result<Option<Piece>, SendError> {
        let inner = &*self.0;
        let mut used = inner.used.lock();
        let Some(range) = place(inner.address(), *used, len, inner.len) else { return Ok(None) };
        inner.populate(range.end)?;
        *used = range.end;
        Ok(Some(Piece(Memory::Shared { block: Arc::clone(&self.0), range })))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("len", &self.0.len).finish_non_exhaustive()
    }
}

/// Memory for an attachment, which is written here and nowhere else.
pub struct Piece(Memory);

/// Where a piece's bytes are.
enum Memory {
    /// In a block.
    Shared {
        /// The block.
        block: Arc<Inner>,
        /// Its bytes there, which belong to no other piece.
        range: Range<usize>,
    },
    /// On the heap: they are copied when they are sent.
    Heap(Aligned, usize),
}

impl Piece {
    /// Zeros on the heap, where a block can't be had.
    pub fn on_heap(len: usize) -> Self {
        Self(Memory::Heap(Aligned::zeroed(len), len))
    }

    /// Whether it can be sent where it is.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Memory::Shared { .. })
    }

    /// Where the bytes begin. They may be written through it by whoever owns the piece.
    pub fn start(&self) -> NonNull<u8> {
        match &self.0 {
            // SAFETY: the range lies inside the block's payload.
            Memory::Shared { block, range } => unsafe { block.start.add(range.start) },
            Memory::Heap(bytes, _) => bytes.start(),
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match &self.0 {
            Memory::Shared { range, .. } => range.len(),
            Memory::Heap(_, len) => *len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they are this piece's alone, initialised, and borrowed with it.
        unsafe { slice::from_raw_parts(self.start().as_ptr(), self.len()) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: they are this piece's alone, initialised, and borrowed exclusively with it.
        unsafe { slice::from_raw_parts_mut(self.start().as_ptr(), self.len()) }
    }

    /// The block that it lies in, and where.
    pub(crate) fn place(&self) -> Option<(&Arc<Inner>, &Range<usize>)> {
        match &self.0 {
            Memory::Shared { block, range } => Some((block, range)),
            Memory::Heap(..) => None,
        }
    }

    /// Lets go of the piece and keeps its block.
    pub(crate) fn into_block(self) -> Option<Arc<Inner>> {
        match self.0 {
            Memory::Shared { block, .. } => Some(block),
            Memory::Heap(..) => None,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("len", &self.len()).field("shared", &self.is_shared()).finish()
    }
}

/// Something whose bytes become an attachment by being copied, once.
pub trait Source: Send + Sync {
    /// How many bytes.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes all of them.
    fn write(&self, target: &mut [u8]);
}

impl Source for View {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn write(&self, target: &mut [u8]) {
        target.copy_from_slice(self);
    }
}

impl Source for Piece {
    fn len(&self) -> usize {
        Piece::len(self)
    }

    fn write(&self, target: &mut [u8]) {
        target.copy_from_slice(self.bytes());
    }
}

/// An attachment that is to be sent.
pub enum Attachment {
    /// Built for being sent: where it is, if it can be.
    Piece(Piece),
    /// Anything else.
    Source(Arc<dyn Source>),
}

impl Attachment {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Piece(piece) => piece.len(),
            Self::Source(source) => source.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes its bytes.
    pub fn write(&self, target: &mut [u8]) {
        match self {
            Self::Piece(piece) => target.copy_from_slice(piece.bytes()),
            Self::Source(source) => source.write(target),
        }
    }

    /// The same bytes, to be copied as often as need be.
    pub fn into_source(self) -> Arc<dyn Source> {
        match self {
            Self::Piece(piece) => Arc::new(piece),
            Self::Source(source) => source,
        }
    }

    /// The same bytes, in memory that is nobody else's: for one that has to wait.
    #[must_use]
    pub fn settled(self) -> Self {
        match self {
            Self::Piece(piece) => Self::Piece(piece),
            Self::Source(source) => {
                let mut copy = Piece::on_heap(source.len());
                source.write(copy.bytes_mut());
                Self::Piece(copy)
            }
        }
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("len", &self.len()).finish_non_exhaustive()
    }
}
