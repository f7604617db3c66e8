//! The sending half of one service: window, loan, copy, publish.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use iceoryx2::port::{LoanError, SendError as IoxSendError};
use pycrust_protocol::header::HEADER_LEN;
use pycrust_protocol::limits::BULK_LOANS;

use crate::clock::monotonic_ns;
use crate::connection::block::{Inner as BlockInner, Origin};
use crate::descriptors;
use crate::error::SendError;
use crate::faults::reached;
use crate::iceoryx::iox::{self, Size};
use crate::iceoryx::node::Node;
use crate::memory::prefault::Pages;
use crate::memory::reserve;

/// Where the header holds `sent_ns`.
const SENT_NS: std::ops::Range<usize> = 24..32;

/// Room in /dev/shm beyond the frame itself that a new segment needs for its bookkeeping.
const SEGMENT_OVERHEAD: u64 = 1 << 20;

/// Room in /dev/shm that a sample's own header needs, and others may take meanwhile.
const LOAN_OVERHEAD: u64 = 64 << 10;

/// Descriptors that a new segment needs for an instant.
const FOR_A_SEGMENT: u64 = 1;

/// Number of the next sending port of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The sending half of one service.
pub(crate) struct Sending {
    /// The port.
    port: iox::Sender,
    /// Which service it is.
    size: Size,
    /// Frames published. Our own count: the shared word is only written.
    published: u64,
    /// Frames that have room and are still being filled.
    reserved: u64,
    /// What is known of its pages, for bulk.
    pages: Arc<Pages>,
    /// Tells it from other ports of this process.
    number: u64,
    /// Samples that are being filled, for bulk.
    loans: Arc<AtomicUsize>,
}

impl Sending {
    /// Sends through `port`.
    pub(crate) fn new(port: iox::Sender, size: Size) -> Self {
        Self {
            port,
            size,
            published: 0,
            reserved: 0,
            pages: Arc::new(Pages::new(iox::FIRST_BULK_LEN)),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            loans: Arc::default(),
        }
    }

    /// The port.
    pub(crate) fn port(&self) -> &iox::Sender {
        &self.port
    }

    /// Tells it from other ports of this process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Is there room, as far as the receiver's count of consumed frames says?
    pub(crate) fn has_room(&self, consumed: &AtomicU64) -> bool {
        let under_way = self.published.wrapping_sub(consumed.load(Ordering::Acquire));
        under_way.saturating_add(self.reserved) < self.size.window() as u64
    }

    /// Keeps room for a frame that is filled next; there must be some.
    pub(crate) fn reserve(&mut self) {
        self.reserved += 1;
    }

    /// The room is used, or not needed.
    pub(crate) fn unreserve(&mut self) {
        self.reserved -= 1;
    }

    /// Publishes one frame of `len` bytes of the small service; there must be room for it.
    pub(crate) fn publish(
        &mut self,
        header: &[u8; HEADER_LEN],
        len: usize,
        fill: impl FnOnce(&mut [u8]),
        published: &AtomicU64,
    ) -> Result<(), SendError> {
        let mut sample = self.port.loan_slice_uninit(len).map_err(|error| no_loan(error, self.size, len))?;
        let target = sample.payload_mut();
        // SAFETY: mapped shared memory is initialised; the loan is nobody else's.
        fill(unsafe { &mut *(std::ptr::from_mut(target) as *mut [u8]) });
        self.publish_loan(sample, header, published)
    }

    /// Loans a bulk sample. Few can be had at a time, so that the pool never runs out of chunks: it would grow
    /// past what the bookkeeping of its connection has room for.
    pub(crate) fn loan(&self, len: usize, spare: bool, node: &Arc<Node>) -> Result<BlockInner, SendError> {
        let bound = if spare { BULK_LOANS + iox::SPARE_LOANS } else { BULK_LOANS };
        let taken = self
            .loans
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |loans| (loans < bound).then_some(loans + 1));
        if taken.is_err() {
            return Err(SendError::NoMemory {
                len,
                reason: format!("{bound} frames are being filled already"),
            });
        }
        let loan = self.bulk_loan(len, node).inspect_err(|_| {
            self.loans.fetch_sub(1, Ordering::AcqRel);
        })?;
        reached("bulk.loaned");
        let origin = Origin {
            generation: self.pages.had(len),
            pages: Arc::clone(&self.pages),
            number: self.number,
            loans: Arc::clone(&self.loans),
            node: Arc::clone(node),
        };
        Ok(BlockInner::new(loan, origin))
    }

    /// Loans a bulk sample, whose pages are not there yet.
    fn bulk_loan(&self, len: usize, node: &Node) -> Result<iox::Loan, SendError> {
        // iceoryx2 writes a sample's own header before its pages can be made.
        let room = if self.pages.grows(len) {
            node.restore().map_err(|error| SendError::NoMemory { len, reason: error.to_string() })?;
            reserve::check_segment(len as u64 + SEGMENT_OVERHEAD, iox::bulk_segment_len(len))
        } else {
            reserve::check_room(LOAN_OVERHEAD)
        };
        room.map_err(|error| SendError::NoMemory { len, reason: error.to_string() })?;
        self.port.loan_slice_uninit(len).map_err(|error| no_loan(error, self.size, len))
    }

    /// Publishes a sample whose payload is written; there must be room for it.
    pub(crate) fn publish_loan(
        &mut self,
        loan: iox::Loan,
        header: &[u8; HEADER_LEN],
        published: &AtomicU64,
    ) -> Result<(), SendError> {
        // SAFETY: mapped shared memory is initialised, whatever was written.
        let mut sample = unsafe { loan.assume_init() };
        let stamped = &mut sample.user_header_mut().0;
        *stamped = *header;
        stamped[SENT_NS].copy_from_slice(&monotonic_ns().to_le_bytes());
        reached("frame.written");
        match sample.send() {
            Ok(1..) => {
                reached("frame.sent");
                self.published = self.published.wrapping_add(1);
                published.store(self.published, Ordering::Release);
                reached("frame.announced");
                Ok(())
            }
            // The window keeps the buffer from being full; a receiver that lies about what it has consumed
            // comes here, and waits.
            Err(IoxSendError::UnableToDeliver) => Err(SendError::Full),
            Ok(0) | Err(IoxSendError::ConnectionBrokenSinceSenderNoLongerExists) => Err(SendError::Gone),
            Err(error) => Err(SendError::Failed(error.to_string())),
        }
    }

    /// Gives back the pages of samples that are in nobody's use; how many bytes.
    ///
    /// The pool gives the sample that was freed last, so as many loans as there are warm samples find all
    /// that are free.
    pub(crate) fn give_back(&self) -> usize {
        let mut held = Vec::new();
        let mut given = 0;
        for _ in 0..self.pages.warm().min(iox::LOOKED_AT) {
            // One that was never used may come, into which iceoryx2 writes a header.
            if reserve::check_room(LOAN_OVERHEAD).is_err() {
                break;
            }
            let Ok(mut loan) = self.port.loan_slice_uninit(1) else { break };
            match self.pages.give_back(loan.payload_mut().as_ptr().cast()) {
                Some(bytes) => given += bytes,
                // Those behind it were used before, if at all, and have been looked at then.
                None => break,
            }
            held.push(loan);
        }
        given
    }

    /// Whether a sample of `len` bytes may make a new segment.
    pub(crate) fn grows(&self, len: usize) -> bool {
        self.pages.grows(len)
    }

    /// Whether samples have pages that could be given back.
    pub(crate) fn is_warm(&self) -> bool {
        self.pages.warm() > 0
    }
}

/// What a failed loan means.
fn no_loan(error: LoanError, size: Size, len: usize) -> SendError {
    match (error, size) {
        (LoanError::OutOfMemory, Size::Bulk) => {
            let reason = descriptors::check(FOR_A_SEGMENT).err();
            let reason =
                reason.map_or_else(|| "a new segment could not be made".into(), |error| error.to_string());
            SendError::NoMemory { len, reason }
        }
        _ => SendError::Failed(error.to_string()),
    }
}
