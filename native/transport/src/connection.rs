//! An established connection.

use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pycrust_protocol::handshake::{Message, Welcome};
use pycrust_protocol::header::HEADER_LEN;
use pycrust_protocol::limits::{MAX_BODY_LEN, SMALL_SAMPLE_LEN};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::Shutdown;

use crate::control_socket::{self, Received};
use crate::error::{LinkError, SendError, TransportError};
use crate::fork::Guarded;
use crate::iox::{self, Size};
use crate::lifeline::Lifeline;
use crate::link::{Link, Peer, Side};
use crate::parking::{Ringer, Sleeper};
use crate::receiving::Receiving;
use crate::sending::Sending;
use crate::words::Words;
use crate::{doorbell, time};

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

/// What the handshake has made, from which a connection is built.
pub(crate) struct Parts {
    /// Which end this is.
    pub(crate) side: Side,
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// What the worker said.
    pub(crate) welcome: Welcome,
    /// The control socket.
    pub(crate) control: Guarded,
    /// Refers to the peer's process.
    pub(crate) pidfd: Guarded,
    /// The doorbell that the peer rings.
    pub(crate) own_bell: Guarded,
    /// The doorbell that this side rings.
    pub(crate) peer_bell: Guarded,
    /// The flag words.
    pub(crate) words: Words,
    /// The node that the ports belong to.
    pub(crate) lifeline: Arc<Lifeline>,
}

/// One end of an established connection.
pub struct Connection {
    /// What the handshake has made; everything in it is shared state without a lock.
    parts: Parts,
    /// The ports. Not dropped in a forked child.
    ports: ManuallyDrop<Ports>,
    /// The process that made the connection.
    pid: u32,
    /// Neither side has closed it, as far as this side knows.
    open: AtomicBool,
    /// This side's announced sleeps.
    sleeper: Sleeper,
    /// This side's rings for the peer's sleeps.
    ringer: Ringer,
    /// This side's announced waits for room.
    waiter: Sleeper,
    /// This side's rings for the peer's waits for room.
    room_ringer: Ringer,
    /// What the control socket said; held while it is read, so that messages are handled in order.
    control: Mutex<ControlState>,
}

/// The iceoryx2 ports, and the node that they need.
struct Ports {
    /// Held for one frame's copy and publication.
    small_out: Mutex<Sending>,
    /// The same for bulk, apart so that a long copy delays no small frame.
    bulk_out: Mutex<BulkOut>,
    /// Small frames from the peer.
    small_in: Receiving,
    /// Bulk frames from the peer.
    bulk_in: Receiving,
    /// The node: last, since ports need it.
    lifeline: Arc<Lifeline>,
}

/// The sending end of the bulk service, which is made at its first use.
#[derive(Default)]
struct BulkOut {
    /// The port, once made.
    sending: Option<Sending>,
    /// The peer has opened its end.
    opened: bool,
}

/// What was read from the control socket and not yet told.
#[derive(Default)]
struct ControlState {
    /// The peer's reason to close.
    goodbye: Option<String>,
    /// The peer hung up.
    hung_up: bool,
    /// The peer has opened our bulk service.
    bulk_opened: bool,
    /// We have opened the peer's bulk service.
    bulk_accepted: bool,
}

impl Connection {
    /// A connection that sends through one small port and receives through another.
    pub(crate) fn new(parts: Parts, out: iox::Sender, inn: iox::Receiver) -> Self {
        let lifeline = Arc::clone(&parts.lifeline);
        Self {
            parts,
            ports: ManuallyDrop::new(Ports {
                small_out: Mutex::new(Sending::new(out, Size::Small)),
                bulk_out: Mutex::default(),
                small_in: Receiving::new(Some(inn)),
                bulk_in: Receiving::new(None),
                lifeline,
            }),
            pid: std::process::id(),
            open: AtomicBool::new(true),
            sleeper: Sleeper::new(),
            ringer: Ringer::new(),
            waiter: Sleeper::new(),
            room_ringer: Ringer::new(),
            control: Mutex::default(),
        }
    }

    /// The control socket: readable when there is a message or a hang-up for [`on_control`](Self::on_control).
    pub fn hangup_fd(&self) -> BorrowedFd<'_> {
        self.parts.control.as_fd()
    }

    /// What the worker said in the handshake.
    pub fn welcome(&self) -> &Welcome {
        &self.parts.welcome
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.parts.side
    }

    /// Reads the control socket without blocking, after [`hangup_fd`](Self::hangup_fd) became readable.
    ///
    /// Opens a bulk service that the peer offers, which takes a few milliseconds. After a goodbye, the
    /// next call tells of the hang-up.
    pub fn on_control(&self) -> ControlEvent {
        let mut state = self.control.lock();
        while !state.hung_up {
            match control_socket::receive(self.hangup_fd()) {
                Received::Nothing => break,
                Received::HungUp => state.hung_up = true,
                Received::Message(message, _) => {
                    if let Err(reason) = self.on_message(message, &mut state) {
                        self.on_breach(&reason, &mut state);
                    }
                }
                Received::Malformed(reason) => self.on_breach(&reason, &mut state),
            }
        }
        if state.hung_up {
            self.open.store(false, Ordering::Release);
        }
        match state.goodbye.take() {
            Some(reason) => ControlEvent::Goodbye(reason),
            None if state.hung_up => ControlEvent::HungUp,
            None => ControlEvent::Nothing,
        }
    }

    /// Whether the peer's process has ended.
    pub fn peer_exited(&self) -> bool {
        let exited = time::poll_now(self.parts.pidfd.as_fd());
        if exited {
            self.parts.lifeline.peer_died();
        }
        exited
    }

    /// Cancels a call: its handler sees it at once.
    pub fn cancel(&self, id: u64) {
        self.parts.words.cancel(id);
    }

    /// The descriptor that becomes readable at the peer's exit.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.parts.pidfd.as_fd()
    }

    /// Maps the peer's ports.
    pub(crate) fn update(&self) -> Result<(), TransportError> {
        iox::update(self.ports.small_out.lock().port())?;
        self.ports.small_in.with_port(iox::update).unwrap_or(Ok(()))
    }

    /// Says goodbye and closes.
    pub(crate) fn part(&self, reason: &str) {
        if self.open.swap(false, Ordering::AcqRel) {
            // The peer may be gone or may not read: then the hang-up tells it.
            let _ = control_socket::send(self.hangup_fd(), &Message::Goodbye { reason: reason.into() }, &[]);
        }
        let _ = rustix::net::shutdown(self.hangup_fd(), Shutdown::Both);
    }

    fn on_message(&self, message: Message, state: &mut ControlState) -> Result<(), String> {
        match message {
            Message::Goodbye { reason } => {
                self.open.store(false, Ordering::Release);
                state.goodbye = Some(reason);
            }
            Message::BulkOffered { service } if service == self.bulk_name(true) && !state.bulk_accepted => {
                state.bulk_accepted = true;
                self.open_bulk(&service).map_err(|error| error.to_string())?;
                let answer = Message::BulkOpened { service };
                control_socket::send(self.hangup_fd(), &answer, &[]).map_err(|error| error.to_string())?;
            }
            Message::BulkOpened { service } if service == self.bulk_name(false) => state.bulk_opened = true,
            other => return Err(format!("an unexpected message: {other:?}")),
        }
        Ok(())
    }

    /// The peer broke the protocol on the control socket: this connection is over.
    fn on_breach(&self, reason: &str, state: &mut ControlState) {
        log::warn!("closing connection {} to pid {}: {reason}", self.id(), self.parts.peer.pid);
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
        let service = self.ports.lifeline.with_node(|node| iox::service(node, name, Size::Bulk, false))?;
        let receiver = iox::receiver(&service, Size::Bulk)?;
        iox::update(&receiver)?;
        self.ports.bulk_in.open(receiver);
        Ok(())
    }

    /// Makes our bulk service and waits until the peer has opened it.
    fn offer_bulk(&self, bulk: &mut BulkOut, len: usize) -> Result<(), SendError> {
        let name = self.bulk_name(false);
        if bulk.sending.is_none() {
            let make = || {
                iox::check_room()?;
                let service =
                    self.ports.lifeline.with_node(|node| iox::service(node, &name, Size::Bulk, true))?;
                iox::sender(&service, Size::Bulk)
            };
            let port = make()
                .map_err(|error: TransportError| SendError::NoMemory { len, reason: error.to_string() })?;
            bulk.sending = Some(Sending::new(port, Size::Bulk));
            control_socket::send(self.hangup_fd(), &Message::BulkOffered { service: name }, &[])
                .map_err(|_| SendError::Gone)?;
        }
        let until = Instant::now() + BULK_PATIENCE;
        loop {
            self.look_at_control();
            if self.control.lock().bulk_opened {
                break;
            }
            if !self.is_open() {
                return Err(SendError::Gone);
            }
            if Instant::now() >= until {
                let seconds = BULK_PATIENCE.as_secs();
                return Err(SendError::Failed(format!(
                    "the other side (pid {}) did not open the bulk service within {seconds} s",
                    self.parts.peer.pid
                )));
            }
            // Another thread may read the answer in our place, so this sleep is short.
            let mut fds = [PollFd::new(&self.parts.control, PollFlags::IN)];
            let _ = poll(&mut fds, Some(&time::timespec(Duration::from_millis(10))));
        }
        if let Some(sending) = &bulk.sending {
            iox::update(sending.port()).map_err(|error| SendError::Failed(error.to_string()))?;
        }
        bulk.opened = true;
        Ok(())
    }

    /// Handles what is on the control socket and keeps what the caller of `on_control` has to be told.
    fn look_at_control(&self) {
        if let ControlEvent::Goodbye(reason) = self.on_control() {
            self.control.lock().goodbye = Some(reason);
        }
    }

    /// Announces that this side waits for room, and looks again: is there still none?
    ///
    /// The announcement is never taken back, since another sender's would go with it; the receiver rings
    /// once for each.
    fn still_full(&self, has_room: impl Fn() -> bool) -> bool {
        self.waiter.announce(&self.parts.words.outgoing().space_wanted.0);
        !has_room()
    }
}

impl Link for Connection {
    fn id(&self) -> u64 {
        self.parts.welcome.connection
    }

    fn peer(&self) -> Peer {
        self.parts.peer.clone()
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn ready(&self) -> bool {
        let words = self.parts.words.incoming();
        self.ports.small_in.ready(&words.small_published.0)
            || self.ports.bulk_in.ready(&words.bulk_published.0)
    }

    fn receive(
        &self,
        max: usize,
        sink: &mut dyn FnMut(&[u8; HEADER_LEN], &[u8]),
    ) -> Result<usize, LinkError> {
        let words = self.parts.words.incoming();
        // One place is kept for a bulk frame, which would otherwise starve behind a flood of small ones.
        let bulk = usize::from(max > 0 && self.ports.bulk_in.ready(&words.bulk_published.0));
        let small =
            self.ports.small_in.receive(max - bulk, &words.small_published.0, &words.small_consumed.0, sink);
        let large = match small {
            Ok(small) if bulk > 0 => self
                .ports
                .bulk_in
                .receive(max - small, &words.bulk_published.0, &words.bulk_consumed.0, sink)
                .map(|large| small + large),
            other => other,
        };
        if !matches!(large, Ok(0)) && self.room_ringer.must_ring(&words.space_wanted.0) {
            doorbell::ring(self.parts.peer_bell.as_fd());
        }
        large
    }

    fn send(&self, header: &[u8; HEADER_LEN], parts: &[&[u8]]) -> Result<(), SendError> {
        let len = parts.iter().map(|part| part.len()).sum();
        if len > MAX_BODY_LEN {
            return Err(SendError::TooLarge { len, max: MAX_BODY_LEN });
        }
        if !self.is_open() {
            return Err(SendError::Gone);
        }
        let words = self.parts.words.outgoing();
        let publish = |sending: &mut Sending, published, consumed| {
            if !sending.has_room(consumed) && self.still_full(|| sending.has_room(consumed)) {
                return Err(SendError::Full);
            }
            let sent = sending.publish(header, parts, len, published);
            if sent == Err(SendError::Full) {
                self.waiter.announce(&words.space_wanted.0);
            }
            sent
        };
        if len <= SMALL_SAMPLE_LEN {
            publish(&mut self.ports.small_out.lock(), &words.small_published.0, &words.small_consumed.0)?;
        } else {
            let mut bulk = self.ports.bulk_out.lock();
            if !bulk.opened {
                self.offer_bulk(&mut bulk, len)?;
            }
            let Some(sending) = &mut bulk.sending else { return Err(SendError::Gone) };
            publish(sending, &words.bulk_published.0, &words.bulk_consumed.0)?;
        }
        if self.ringer.must_ring(self.parts.words.peer_sleep()) {
            doorbell::ring(self.parts.peer_bell.as_fd());
        }
        Ok(())
    }

    fn announce_sleep(&self) {
        self.sleeper.announce(self.parts.words.own_sleep());
    }

    fn announce_awake(&self) {
        Sleeper::awake(self.parts.words.own_sleep());
    }

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.parts.own_bell.as_fd()
    }

    fn cancelled(&self, id: u64) -> bool {
        self.parts.words.cancelled(id)
    }

    fn close(&self) {
        self.part("closed by the other side");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A forked child shares ports and socket with its parent: it must leave both alone.
        if self.pid != std::process::id() {
            return;
        }
        if self.is_open() {
            self.part("the connection was dropped");
        }
        if !self.peer_exited() && self.control.lock().hung_up {
            // A hang-up without an exit: the process may be on its way out.
            self.parts.lifeline.peer_died();
        }
        // SAFETY: dropped once, here, and not used after.
        unsafe { ManuallyDrop::drop(&mut self.ports) };
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("side", &self.parts.side)
            .field("peer", &self.parts.peer)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}
