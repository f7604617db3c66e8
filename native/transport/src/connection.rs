//! An established connection.

mod control;

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
use rustix::net::Shutdown;

use crate::control_socket;
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

pub use self::control::ControlEvent;
use self::control::ControlState;

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

    /// Whether the peer's process has ended.
    pub fn peer_exited(&self) -> bool {
        self.exits_within(Duration::ZERO)
    }

    /// Whether the peer's process has ended, or does so within this time.
    pub(crate) fn exits_within(&self, time: Duration) -> bool {
        let exited = time::poll_until(self.parts.pidfd.as_fd(), Instant::now() + time);
        if exited {
            self.parts.lifeline.peer_died();
        }
        exited
    }

    /// Cancels a call: its handler sees it at once.
    pub fn cancel(&self, id: u64) {
        self.parts.words.cancel(id);
        if self.ringer.must_ring(self.parts.words.peer_sleep()) {
            doorbell::ring(self.parts.peer_bell.as_fd());
        }
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

    fn cancels(&self) -> u64 {
        self.parts.words.cancels()
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
