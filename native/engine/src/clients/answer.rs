//! An answer on its way: what it says, and whether it may wait.

use pycrust_protocol::attachments::{ALIGNMENT, ENTRY_LEN};
use pycrust_protocol::limits::SMALL_SAMPLE_LEN;
use pycrust_transport::Attachment;

/// Bytes of a response's control message around its payload, at most.
pub(crate) const HEAD_LEN: usize = 1 + 9 + 2 + 5;

/// Whether the sending thread may wait for the peer, as the first large frame of a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A thread of its own: it sends everything.
    Waits,
    /// The leader and the control thread: large frames are left to the sender.
    Hurries,
    /// As those, and the client is rung later, for this answer and others: it has more calls in flight.
    RingsLater,
}

impl Patience {
    /// Whether a payload of `len` bytes is sent by this thread itself.
    pub(crate) fn takes(self, len: usize) -> bool {
        self == Self::Waits || len <= SMALL_SAMPLE_LEN - HEAD_LEN
    }
}

/// What an answer says.
pub(crate) struct Body<'a> {
    /// The result or the error as MessagePack.
    pub(crate) payload: &'a [u8],
    /// The answer's metadata.
    pub(crate) metadata: &'a [u8],
    /// The arrays in the result.
    pub(crate) attachments: Vec<Attachment>,
}

impl<'a> Body<'a> {
    /// A payload and nothing else.
    pub(crate) fn plain(payload: &'a [u8]) -> Self {
        Self { payload, metadata: &[], attachments: Vec::new() }
    }

    /// Bytes beyond the header.
    pub(crate) fn len(&self) -> usize {
        self.payload.len() + self.metadata.len() + attached_len(&self.attachments)
    }
}

/// Bytes that attachments take in a sample, at most.
pub(crate) fn attached_len(attachments: &[Attachment]) -> usize {
    attachments.iter().map(|attachment| attachment.len() + ENTRY_LEN + ALIGNMENT).sum()
}
