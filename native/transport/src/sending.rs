//! The sending half of one service: window, loan, copy, publish.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use iceoryx2::port::{LoanError, SendError as IoxSendError};
use pycrust_protocol::header::HEADER_LEN;

use crate::clock::monotonic_ns;
use crate::error::SendError;
use crate::iox::{self, Size};
use crate::memory;

/// Where the header holds `sent_ns`.
const SENT_NS: std::ops::Range<usize> = 24..32;

/// Room in /dev/shm beyond the frame itself that a new segment needs for its bookkeeping.
const SEGMENT_OVERHEAD: u64 = 1 << 20;

/// The sending half of one service.
pub(crate) struct Sending {
    /// The port.
    port: iox::Sender,
    /// Which service it is.
    size: Size,
    /// Frames published. Our own count: the shared word is only written.
    published: u64,
}

impl Sending {
    /// Sends through `port`.
    pub(crate) fn new(port: iox::Sender, size: Size) -> Self {
        Self { port, size, published: 0 }
    }

    /// The port.
    pub(crate) fn port(&self) -> &iox::Sender {
        &self.port
    }

    /// Is there room, as far as the receiver's count of consumed frames says?
    pub(crate) fn has_room(&self, consumed: &AtomicU64) -> bool {
        self.published.wrapping_sub(consumed.load(Ordering::Acquire)) < self.size.window() as u64
    }

    /// Publishes one frame of `len` bytes; there must be room for it.
    pub(crate) fn publish(
        &mut self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        len: usize,
        published: &AtomicU64,
    ) -> Result<(), SendError> {
        if self.size == Size::Bulk {
            memory::check_room(len as u64 + SEGMENT_OVERHEAD)
                .map_err(|error| SendError::NoMemory { len, reason: error.to_string() })?;
        }
        let mut sample = self.port.loan_slice_uninit(len).map_err(|error| no_loan(error, self.size, len))?;
        let target = sample.payload_mut();
        if self.size == Size::Bulk {
            memory::populate(target.as_ptr().cast(), len)
                .map_err(|error| SendError::NoMemory { len, reason: error.to_string() })?;
        }
        copy(parts, target);
        // SAFETY: `copy` has written all `len` bytes, since `len` is the sum of the parts' lengths.
        let mut sample = unsafe { sample.assume_init() };
        let stamped = &mut sample.user_header_mut().0;
        *stamped = *header;
        stamped[SENT_NS].copy_from_slice(&monotonic_ns().to_le_bytes());
        match sample.send() {
            Ok(1..) => {
                self.published = self.published.wrapping_add(1);
                published.store(self.published, Ordering::Release);
                Ok(())
            }
            // The window keeps the buffer from being full; a receiver that lies about what it has consumed
            // comes here, and waits.
            Err(IoxSendError::UnableToDeliver) => Err(SendError::Full),
            Ok(0) | Err(IoxSendError::ConnectionBrokenSinceSenderNoLongerExists) => Err(SendError::Gone),
            Err(error) => Err(SendError::Failed(error.to_string())),
        }
    }
}

/// Copies the parts, one after another, into `target`, which they fill.
fn copy(parts: &[&[u8]], mut target: &mut [MaybeUninit<u8>]) {
    for part in parts {
        let (here, rest) = target.split_at_mut(part.len());
        here.write_copy_of_slice(part);
        target = rest;
    }
}

/// What a failed loan means.
fn no_loan(error: LoanError, size: Size, len: usize) -> SendError {
    match (error, size) {
        (LoanError::OutOfMemory, Size::Bulk) => {
            SendError::NoMemory { len, reason: "a new segment could not be made".into() }
        }
        _ => SendError::Failed(error.to_string()),
    }
}
