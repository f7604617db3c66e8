//! What the engine and the client need of an established connection.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use pycrust_protocol::header::HEADER_LEN;

use crate::connection::block::{Attachment, Block};
use crate::connection::frame::Frame;
use crate::error::{LinkError, SendError};
use crate::sleeping::shared_flags::CallProgress;

/// The process at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its process id, as the kernel says.
    pub pid: u32,
    /// A name that a person recognises: the client's own, or the endpoint's.
    pub name: String,
}

/// What a link's attachments take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Received samples that views keep.
    pub views: usize,
    /// Frames whose attachments were copied since too many samples were kept.
    pub copied: u64,
    /// Frames that were sent where their attachments were built.
    pub sent_in_place: u64,
}

/// An established connection. Everything is `&self`; interior locks are held for about a microsecond.
pub trait Link: Send + Sync + 'static {
    /// The connection's number in its worker's life.
    fn id(&self) -> u64;

    /// Who is at the other end.
    fn peer(&self) -> Peer;

    /// Whether neither side has closed the connection as far as this side knows.
    fn is_open(&self) -> bool;

    /// Has the peer published something that was not yet received? Two loads.
    fn ready(&self) -> bool;

    /// Receives at most `max` frames and hands each to `sink`, borrowed; attachments may be kept.
    ///
    /// Slots are freed, and a peer that waits for room is told, before this returns. `sink` must not
    /// receive on the same link.
    ///
    /// # Errors
    /// [`LinkError`] if the connection can't be received from any more.
    fn receive(&self, max: usize, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, LinkError>;

    /// Publishes one frame whose sample is the concatenation of `parts`.
    ///
    /// The header's `sent_ns` is set just before, and the peer is rung if it sleeps. A frame over
    /// [`SMALL_SAMPLE_LEN`](pycrust_protocol::limits::SMALL_SAMPLE_LEN) takes the bulk service, which is
    /// made at its first use: that send waits for the peer, up to five seconds.
    ///
    /// # Errors
    /// [`SendError::Full`] asks the caller to wait for the [`doorbell`](Self::doorbell) and to try again;
    /// after any other the frame can't be sent.
    fn send(&self, header: &[u8; HEADER_LEN], parts: &[&[u8]]) -> Result<(), SendError> {
        self.send_with(header, parts, &mut Vec::new())
    }

    /// Publishes one frame with attachments, behind `parts` and the table that describes them; the header
    /// counts them. Attachments that were built in this link's memory are sent where they are, if all pieces of
    /// their [`Block`] that live are in this frame; all others are copied. They are gone once they are sent.
    ///
    /// # Errors
    /// Those of [`send`](Self::send). After [`SendError::Full`] the attachments are as they were, after any
    /// other they may be gone.
    fn send_with(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        self.publish(header, parts, attachments)?;
        self.ring();
        Ok(())
    }

    /// Sends a frame as [`send_with`](Self::send_with) does, to a peer that is not rung: one that sleeps finds it when
    /// somebody [rings](Self::ring), for this frame and others.
    ///
    /// # Errors
    /// Those of [`send_with`](Self::send_with).
    fn publish(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError>;

    /// Rings the peer, if it sleeps and was not rung for that sleep yet.
    fn ring(&self);

    /// Whether a large frame of `len` bytes can be sent without waiting for the peer, and in memory that is there: for
    /// threads that have no time to wait.
    fn sends_at_once(&self, len: usize) -> bool;

    /// Memory for attachments of `len` bytes together, to be written in place. Its first use may wait as
    /// [`send`](Self::send) may.
    ///
    /// # Errors
    /// [`SendError`] if there is none; a [`Piece`](crate::Piece) on the heap does in its place.
    fn block(&self, len: usize) -> Result<Block, SendError>;

    /// What the link's attachments take at the moment.
    fn memory(&self) -> Memory;

    /// Gives shared memory that was not used for `idle` back to the system; whether there is more to give back
    /// later.
    fn give_back(&self, idle: Duration) -> bool;

    /// Announces that all of this side's threads are about to sleep. The caller checks
    /// [`ready`](Self::ready) once more before it does; each sleep is announced anew.
    fn announce_sleep(&self);

    /// Takes the announcement back.
    fn announce_awake(&self);

    /// What the peer rings. It is not to be read: wait for its edge.
    fn doorbell(&self) -> BorrowedFd<'_>;

    /// Whether the caller has cancelled this call (for the worker).
    fn cancelled(&self, id: u64) -> bool;

    /// How many calls the caller has cancelled so far: a change asks for a look. A ring announces it to a
    /// worker that sleeps.
    fn cancels(&self) -> u64;

    /// Notes for the caller how far this call is (for the worker).
    fn note(&self, id: u64, progress: CallProgress) {
        let _ = (id, progress);
    }

    /// Closes the connection: the peer sees the hang-up. Frames already published can still be received.
    fn close(&self);
}
