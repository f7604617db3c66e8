//! An established connection.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pycrust_protocol::handshake::Welcome;
use pycrust_protocol::header::HEADER_LEN;

use crate::error::{LinkError, SendError};
use crate::link::{Link, Peer};

/// What the control socket had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlEvent {
    /// Nothing that the caller has to know.
    Nothing,
    /// The worker closes the connection in good order, for this reason.
    Goodbye(String),
    /// The worker hung up.
    HungUp,
}

/// One end of an established connection.
#[derive(Debug)]
pub struct Connection {
    /// The control socket.
    control: OwnedFd,
    /// What the worker said in the handshake.
    welcome: Welcome,
}

impl Connection {
    /// The control socket: readable when there is a message or a hang-up for [`on_control`](Self::on_control).
    pub fn hangup_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// What the worker said in the handshake.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Reads the control socket without blocking, after [`hangup_fd`](Self::hangup_fd) became readable.
    pub fn on_control(&self) -> ControlEvent {
        ControlEvent::Nothing
    }

    /// Whether the peer's process has ended.
    pub fn peer_exited(&self) -> bool {
        false
    }

    /// Cancels a call: its handler sees it at once.
    pub fn cancel(&self, _id: u64) {}
}

impl Link for Connection {
    fn id(&self) -> u64 {
        self.welcome.connection
    }

    fn peer(&self) -> Peer {
        Peer { pid: self.welcome.pid, name: String::new() }
    }

    fn is_open(&self) -> bool {
        true
    }

    fn ready(&self) -> bool {
        false
    }

    fn receive(
        &self,
        _max: usize,
        _sink: &mut dyn FnMut(&[u8; HEADER_LEN], &[u8]),
    ) -> Result<usize, LinkError> {
        Ok(0)
    }

    fn send(&self, _header: &[u8; HEADER_LEN], _parts: &[&[u8]]) -> Result<(), SendError> {
        Err(SendError::Gone)
    }

    fn announce_sleep(&self) {}

    fn announce_awake(&self) {}

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    fn cancelled(&self, _id: u64) -> bool {
        false
    }

    fn close(&self) {}
}
