//! What a session's frames travel on.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use pycrust_protocol::handshake::Welcome;
use pycrust_protocol::header::HEADER_LEN;
use pycrust_transport::{
    Attachment, Block, CallProgress, Connection, ControlEvent, Descriptor, Frame, Link, LinkError, SendError,
};

#[cfg(feature = "testing")]
use crate::connection::pipe::Pipe;

/// A connection: shared memory, or, in tests of programs that use this crate, a worker in the same process.
///
/// Without that feature it is the connection itself.
#[cfg_attr(
    feature = "testing",
    expect(
        clippy::large_enum_variant,
        reason = "it is behind an Arc, and the large one is the one that counts"
    )
)]
pub(crate) enum Wire {
    Shared(Connection),
    #[cfg(feature = "testing")]
    Inside(std::sync::Arc<Pipe>),
}

macro_rules! pass {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Self::Shared(link) => link.$method($($argument),*),
            #[cfg(feature = "testing")]
            Self::Inside(link) => link.$method($($argument),*),
        }
    };
}

impl Wire {
    /// What the worker said in the handshake.
    pub(crate) fn welcome(&self) -> &Welcome {
        pass!(self.welcome())
    }

    #[inline]
    pub(crate) fn ready(&self) -> bool {
        pass!(self.ready())
    }

    #[inline]
    pub(crate) fn receive(&self, max: usize, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, LinkError> {
        pass!(self.receive(max, sink))
    }

    pub(crate) fn send(&self, header: &[u8; HEADER_LEN], parts: &[&[u8]]) -> Result<(), SendError> {
        pass!(self.send_with(header, parts, &mut Vec::new()))
    }

    #[inline]
    pub(crate) fn send_with(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        pass!(self.send_with(header, parts, attachments))
    }

    /// Makes the service for large frames; whether the other side has opened it.
    pub(crate) fn prepare_bulk(&self, len: usize) -> Result<bool, SendError> {
        pass!(self.prepare_bulk(len))
    }

    pub(crate) fn block(&self, len: usize) -> Result<Block, SendError> {
        pass!(self.block(len))
    }

    pub(crate) fn give_back(&self, idle: Duration) -> bool {
        pass!(self.give_back(idle))
    }

    #[inline]
    pub(crate) fn announce_sleep(&self) {
        pass!(self.announce_sleep());
    }

    #[inline]
    pub(crate) fn announce_awake(&self) {
        pass!(self.announce_awake());
    }

    pub(crate) fn doorbell(&self) -> BorrowedFd<'_> {
        pass!(self.doorbell())
    }

    pub(crate) fn hangup_fd(&self) -> BorrowedFd<'_> {
        pass!(self.hangup_fd())
    }

    /// The doorbell and the control socket.
    pub(crate) fn descriptors(&self) -> [Descriptor; 2] {
        pass!(self.descriptors())
    }

    pub(crate) fn on_control(&self) -> ControlEvent {
        pass!(self.on_control())
    }

    pub(crate) fn cancel(&self, id: u64) {
        pass!(self.cancel(id));
    }

    pub(crate) fn progress(&self, id: u64) -> CallProgress {
        pass!(self.progress(id))
    }

    pub(crate) fn peer_exited(&self) -> bool {
        pass!(self.peer_exited())
    }

    pub(crate) fn peer_stopped(&self) -> bool {
        pass!(self.peer_stopped())
    }

    pub(crate) fn close(&self) {
        pass!(self.close());
    }
}
