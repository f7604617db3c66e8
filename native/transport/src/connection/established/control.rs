//! The control socket of an established connection: goodbyes, hang-ups, and bulk services.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pycrust_protocol::handshake::Message;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::Shutdown;

use super::{BulkOut, Connection};
use crate::connection::control_socket::{self, Received};
use crate::connection::link::Link;
use crate::connection::sending::Sending;
use crate::connection::view::InPort;
use crate::descriptors;
use crate::error::{SendError, TransportError, process};
use crate::faults::reached;
use crate::iceoryx::iox::{self, Size};
use crate::memory::reserve;
use crate::sleeping::polling;
use crate::sleeping::shared_flags::Side;

/// How long the first bulk frame waits for the other side to open the service.
const BULK_PATIENCE: Duration = Duration::from_secs(5);

/// What the control socket had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlEvent {
    /// Nothing that the caller has to know.
    Nothing,
    /// The other side closes the connection in good order, for this reason.
    Goodbye(String),
    /// The other side hung up, or broke the protocol.
    HungUp,
}

/// Messages that a peer may send in a connection's life. It has a use for three, and for more if there is not enough of
/// something for its large frames; more of them would only keep the control thread busy.
const MAX_MESSAGES: u32 = 256;

/// What was read from the control socket and not yet told.
#[derive(Default)]
pub(super) struct ControlState {
    /// The peer's reason to close.
    goodbye: Option<String>,
    /// The peer hung up.
    pub(super) hung_up: bool,
    /// The peer has opened our bulk service.
    bulk_opened: bool,
    /// Why it could not.
    bulk_refused: Option<String>,
    /// We have opened the peer's bulk service.
    bulk_accepted: bool,
    /// Messages that were read.
    messages: u32,
}

impl Connection {
    /// Reads the control socket without blocking, after [`hangup_fd`](Self::hangup_fd) became readable.
    ///
    /// Opens a bulk service that the peer offers, which takes a few milliseconds. After a goodbye, the
    /// next call tells of the hang-up.
    pub fn on_control(&self) -> ControlEvent {
        let mut state = self.control.lock();
        self.read_control(&mut state);
        match state.goodbye.take() {
            Some(reason) => ControlEvent::Goodbye(reason),
            None if state.hung_up => ControlEvent::HungUp,
            None => ControlEvent::Nothing,
        }
    }

    /// Handles everything that is on the control socket now.
    fn read_control(&self, state: &mut ControlState) {
        while !state.hung_up {
            match control_socket::receive(self.hangup_fd()) {
                Received::Nothing => break,
                Received::HungUp => state.hung_up = true,
                Received::Message(message, _) => {
                    state.messages += 1;
                    if let Err(reason) = self.on_message(message, state) {
                        self.on_breach(&reason, state);
                    }
                }
                Received::Malformed(reason) => self.on_breach(&reason, state),
            }
        }
        if state.hung_up {
            self.open.store(false, Ordering::Release);
        }
    }

    /// Handles one message; an error is a breach of the protocol.
    fn on_message(&self, message: Message, state: &mut ControlState) -> Result<(), String> {
        match message {
            _ if state.messages > MAX_MESSAGES => return Err("too many messages".into()),
            Message::Goodbye { reason } => {
                self.open.store(false, Ordering::Release);
                state.goodbye = Some(reason);
            }
            Message::BulkOffered { service } if service == self.bulk_name(true) && !state.bulk_accepted => {
                let answer = match descriptors::explained(|| self.open_bulk(&service)) {
                    Ok(()) => {
                        state.bulk_accepted = true;
                        Message::BulkOpened { service }
                    }
                    Err(error) => Message::BulkRefused { service, reason: error.to_string() },
                };
                control_socket::send(self.hangup_fd(), &answer, &[]).map_err(|error| error.to_string())?;
            }
            Message::BulkOpened { service } if service == self.bulk_name(false) => state.bulk_opened = true,
            Message::BulkRefused { service, reason } if service == self.bulk_name(false) => {
                state.bulk_refused = Some(reason);
            }
            other => return Err(format!("an unexpected message: {other:?}")),
        }
        Ok(())
    }

    /// The peer broke the protocol on the control socket: this connection is over.
    fn on_breach(&self, reason: &str, state: &mut ControlState) {
        log::warn!("closing connection {} to {}: {reason}", self.id(), process(self.parts.peer.pid));
        state.hung_up = true;
        let _ = rustix::net::shutdown(self.hangup_fd(), Shutdown::Both);
    }

    /// The name of the bulk service beside a small one.
    fn bulk_name(&self, incoming: bool) -> String {
        let welcome = &self.parts.welcome;
        let requests = (self.parts.side == Side::Worker) == incoming;
        let small = if requests { &welcome.request_service } else { &welcome.response_service };
        format!("{small}/bulk")
    }

    /// Opens the peer's bulk service.
    fn open_bulk(&self, name: &str) -> Result<(), TransportError> {
        let service = self.ports.node.service(name, Size::Bulk, false)?;
        let receiver = iox::receiver(&service, Size::Bulk)?;
        iox::update(&receiver)?;
        self.ports.bulk_in.open(InPort::new(receiver, Arc::clone(&self.ports.node)));
        reached("bulk.opened");
        Ok(())
    }

    /// Sees to it that large frames can be sent, as far as that goes without waiting for the peer: whether they
    /// can. If not, the answer comes on the control socket, and this is to be asked again.
    ///
    /// # Errors
    /// [`SendError`] if they never can.
    pub fn prepare_bulk(&self, len: usize) -> Result<bool, SendError> {
        let mut bulk = self.ports.bulk_out.lock();
        Ok(bulk.opened || self.offer_bulk(&mut bulk, len)?)
    }

    /// Makes our bulk service and waits until the peer has opened it.
    pub(super) fn wait_for_bulk(&self, bulk: &mut BulkOut, len: usize) -> Result<(), SendError> {
        let until = Instant::now() + BULK_PATIENCE;
        while !self.offer_bulk(bulk, len)? {
            if Instant::now() >= until {
                let seconds = BULK_PATIENCE.as_secs();
                return Err(SendError::Failed(format!(
                    "the other side ({}) did not open the bulk service within {seconds} s",
                    process(self.parts.peer.pid)
                )));
            }
            // Another thread may read the answer in our place, so this sleep is short.
            let mut fds = [PollFd::new(&self.parts.control, PollFlags::IN)];
            let _ = poll(&mut fds, Some(&polling::timespec(Duration::from_millis(10))));
        }
        Ok(())
    }

    /// Makes our bulk service, and asks the peer to open it, unless that was done; whether the peer has.
    fn offer_bulk(&self, bulk: &mut BulkOut, len: usize) -> Result<bool, SendError> {
        let name = self.bulk_name(false);
        let no_memory = |reason: String| SendError::NoMemory { len, reason };
        if bulk.sending.is_none() {
            reserve::check_segment(iox::BULK_MEMORY, iox::bulk_segment_len(iox::FIRST_BULK_LEN))
                .map_err(|error| no_memory(error.to_string()))?;
            let node = &self.ports.node;
            let made = || iox::sender(&node.service(&name, Size::Bulk, true)?, Size::Bulk);
            let port = descriptors::explained(made).map_err(|error| no_memory(error.to_string()))?;
            bulk.sending = Some(Sending::new(port, Size::Bulk));
        }
        if !bulk.offered {
            control_socket::send(self.hangup_fd(), &Message::BulkOffered { service: name }, &[])
                .map_err(|_| SendError::Gone)?;
            bulk.offered = true;
            reached("bulk.offered");
        }
        let (opened, refused) = {
            let mut state = self.control.lock();
            self.read_control(&mut state);
            (state.bulk_opened, state.bulk_refused.take())
        };
        if let Some(reason) = refused.filter(|_| !opened) {
            bulk.offered = false;
            return Err(no_memory(format!("the other side says: {reason}")));
        }
        if !opened {
            return if self.is_open() { Ok(false) } else { Err(SendError::Gone) };
        }
        if let Some(sending) = &bulk.sending {
            iox::update(sending.port()).map_err(|error| SendError::Failed(error.to_string()))?;
        }
        bulk.opened = true;
        Ok(true)
    }
}
