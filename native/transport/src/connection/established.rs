//! An established connection.

mod bulk;
mod control;
mod plan;

use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pycrust_protocol::handshake::{Message, Welcome};
use pycrust_protocol::header::HEADER_LEN;
use pycrust_protocol::limits::{BULK_VIEWS, MAX_BODY_LEN, SMALL_SAMPLE_LEN};
use rustix::net::Shutdown;

use crate::connection::block::{Attachment, Block, HEADROOM};
use crate::connection::control_socket;
use crate::connection::frame::Frame;
use crate::connection::link::{Link, Memory, Peer};
use crate::connection::receiving::Receiving;
use crate::connection::sending::Sending;
use crate::connection::view::InPort;
use crate::error::{LinkError, SendError, TransportError};
use crate::faults::reached;
use crate::fork::{Descriptor, Guarded};
use crate::iceoryx::iox::{self, Size};
use crate::iceoryx::node::Node;
use crate::memory::reserve::{OWN_PAGES, PAGE};
use crate::process::Process;
use crate::sleeping::doorbell::Doorbell;
use crate::sleeping::parking::{Ringer, Sleeper};
use crate::sleeping::polling;
use crate::sleeping::shared_flags::{CallProgress, SharedFlags, Side};
use crate::sync::Mutex;

pub use self::control::ControlEvent;
use self::control::ControlState;
use self::plan::Plan;

/// What the handshake has made, from which a connection is built.
pub(crate) struct Parts {
    /// Which end this is.
    pub(crate) side: Side,
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// What the worker said.
    pub(crate) welcome: Welcome,
    /// The control socket.
    pub(crate) control: Descriptor,
    /// Refers to the peer's process.
    pub(crate) pidfd: Guarded,
    /// The doorbell that the peer rings.
    pub(crate) own_bell: Doorbell,
    /// The doorbell that this side rings.
    pub(crate) peer_bell: Doorbell,
    /// The shared flags.
    pub(crate) flags: SharedFlags,
    /// The node that the ports belong to.
    pub(crate) node: Arc<Node>,
}

/// One end of an established connection.
pub struct Connection {
    /// What the handshake has made; everything in it is shared state without a lock.
    parts: Parts,
    /// The ports. Not dropped in a forked child.
    ports: ManuallyDrop<Ports>,
    /// The process that made the connection.
    process: Process,
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
    /// The same for bulk; not held while a frame is copied.
    bulk_out: Mutex<BulkOut>,
    /// Frames that were sent where their attachments were built.
    sent_in_place: AtomicU64,
    /// Small frames from the peer.
    small_in: Receiving,
    /// Bulk frames from the peer.
    bulk_in: Receiving,
    /// The node: last, since ports need it.
    node: Arc<Node>,
}

/// The sending end of the bulk service, which is made at its first use.
#[derive(Default)]
struct BulkOut {
    /// The port, once made.
    sending: Option<Sending>,
    /// The peer was told of it.
    offered: bool,
    /// The peer has opened its end.
    opened: bool,
    /// When it was last used.
    used: Option<Instant>,
}

impl Connection {
    /// A connection that sends through one small port and receives through another.
    pub(crate) fn new(parts: Parts, out: iox::Sender, inn: iox::Receiver) -> Self {
        let node = Arc::clone(&parts.node);
        Self {
            parts,
            ports: ManuallyDrop::new(Ports {
                small_out: Mutex::new(Sending::new(out, Size::Small)),
                bulk_out: Mutex::default(),
                sent_in_place: AtomicU64::new(0),
                small_in: Receiving::new(Some(InPort::new(inn, Arc::clone(&node)))),
                bulk_in: Receiving::new(None),
                node,
            }),
            process: Process::current(),
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

    /// The doorbell and the control socket, for whoever waits for them beyond the life of this value.
    pub fn descriptors(&self) -> [Descriptor; 2] {
        [self.parts.own_bell.descriptor().clone(), self.parts.control.clone()]
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

    /// Whether the peer's process is stopped, by a signal or a debugger; `false` if that can't be told.
    pub fn peer_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.parts.peer.pid));
        // Behind the name, which may have any character in it.
        stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't'])))
    }

    /// Whether the peer's process has ended, or does so within this time.
    pub(crate) fn exits_within(&self, time: Duration) -> bool {
        let exited = polling::poll_until(self.parts.pidfd.as_fd(), Instant::now() + time);
        if exited {
            self.parts.node.peer_died();
        }
        exited
    }

    /// Cancels a call: its handler sees it at once.
    pub fn cancel(&self, id: u64) {
        if !self.process.is_current() {
            return;
        }
        self.parts.flags.cancel(id);
        if self.ringer.must_ring(self.parts.flags.peer_sleep()) {
            self.parts.peer_bell.ring();
        }
    }

    /// How far a call of this side's is.
    pub fn progress(&self, id: u64) -> CallProgress {
        self.parts.flags.progress(id)
    }

    /// The descriptor that becomes readable at the peer's exit.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.parts.pidfd.as_fd()
    }

    /// Maps the peer's ports.
    pub(crate) fn update(&self) -> Result<(), TransportError> {
        iox::update(self.ports.small_out.lock().port())?;
        self.ports.small_in.with_port(|port| iox::update(port.receiver())).unwrap_or(Ok(()))
    }

    /// Says goodbye and closes.
    pub(crate) fn part(&self, reason: &str) {
        if !self.process.is_current() {
            return;
        }
        if self.open.swap(false, Ordering::AcqRel) {
            // The peer may be gone or may not read: then the hang-up tells it.
            let _ = control_socket::send(self.hangup_fd(), &Message::Goodbye { reason: reason.into() }, &[]);
        }
        let _ = rustix::net::shutdown(self.hangup_fd(), Shutdown::Both);
    }

    /// Announces that this side waits for room.
    fn announce_wait_for_room(&self) {
        self.parts.own_bell.before_announcing();
        self.waiter.announce(&self.parts.flags.outgoing().space_wanted.0);
    }

    /// Announces that this side waits for room, and looks again: is there still none?
    ///
    /// The announcement is never taken back, since another sender's would go with it; the receiver rings
    /// once for each.
    fn still_full(&self, has_room: impl Fn() -> bool) -> bool {
        self.announce_wait_for_room();
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
        // For a forked child it is closed.
        self.open.load(Ordering::Acquire) && self.process.is_current()
    }

    fn ready(&self) -> bool {
        let flags = self.parts.flags.incoming();
        self.ports.small_in.ready(&flags.small_published.0)
            || self.ports.bulk_in.ready(&flags.bulk_published.0)
    }

    fn receive(&self, max: usize, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, LinkError> {
        if !self.process.is_current() {
            return Err(LinkError::Inherited);
        }
        let flags = self.parts.flags.incoming();
        // One place is kept for a bulk frame, which would otherwise starve behind a flood of small ones.
        let bulk = usize::from(max > 0 && self.ports.bulk_in.ready(&flags.bulk_published.0));
        let (published, consumed) = (&flags.small_published.0, &flags.small_consumed.0);
        let small = self.ports.small_in.receive(max - bulk, 0, published, consumed, sink);
        let large = match small {
            Ok(small) if bulk > 0 => {
                let (published, consumed) = (&flags.bulk_published.0, &flags.bulk_consumed.0);
                let large = self.ports.bulk_in.receive(max - small, BULK_VIEWS, published, consumed, sink);
                large.map(|large| small + large)
            }
            other => other,
        };
        if !matches!(large, Ok(0)) && self.room_ringer.must_ring(&flags.space_wanted.0) {
            self.parts.peer_bell.ring();
        }
        large
    }

    fn publish(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        let head_len = parts.iter().map(|part| part.len()).sum::<usize>();
        let plan = Plan::new(head_len, attachments)?;
        if !self.is_open() {
            return Err(SendError::Gone);
        }
        if plan.len() <= SMALL_SAMPLE_LEN {
            let flags = self.parts.flags.outgoing();
            let mut sending = self.ports.small_out.lock();
            let consumed = &flags.small_consumed.0;
            if !sending.has_room(consumed) && self.still_full(|| sending.has_room(consumed)) {
                return Err(SendError::Full);
            }
            let fill = |target: &mut [u8]| plan.fill(parts, attachments, target);
            let sent = sending.publish(header, plan.len(), fill, &flags.small_published.0);
            if sent == Err(SendError::Full) {
                self.announce_wait_for_room();
            }
            sent?;
        } else {
            self.send_bulk(header, parts, attachments, plan)?;
        }
        attachments.clear();
        Ok(())
    }

    fn ring(&self) {
        if self.ringer.must_ring(self.parts.flags.peer_sleep()) {
            self.parts.peer_bell.ring();
            reached("frame.rung");
        }
    }

    fn sends_at_once(&self, len: usize) -> bool {
        // Somebody who waits for the peer has it, or somebody who is done in a moment.
        let Some(bulk) = self.ports.bulk_out.try_lock() else { return false };
        bulk.opened && bulk.sending.as_ref().is_some_and(|sending| !sending.grows(len))
    }

    fn block(&self, len: usize) -> Result<Block, SendError> {
        if len > MAX_BODY_LEN {
            return Err(SendError::TooLarge { len, max: MAX_BODY_LEN });
        }
        if !self.is_open() {
            return Err(SendError::Gone);
        }
        let mut bulk = self.ports.bulk_out.lock();
        self.bulk(&mut bulk, len)?;
        let Some(sending) = &bulk.sending else { return Err(SendError::Gone) };
        // Room for each large piece to begin at a page of its own; what is not used has no pages.
        let pages = (len / OWN_PAGES + 2) * PAGE;
        let room = (HEADROOM + len + pages).min(MAX_BODY_LEN.max(HEADROOM + len));
        let loan = sending.loan(room, false, &self.ports.node)?;
        drop(bulk);
        // Its head is written by whoever sends it, its pieces are made one by one.
        loan.populate(HEADROOM)?;
        Ok(Block::new(loan))
    }

    fn memory(&self) -> Memory {
        let of_port = |port: &InPort| (port.pinned(), port.copied());
        let (views, copied) = self.ports.bulk_in.with_port(of_port).unwrap_or_default();
        Memory { views, copied, sent_in_place: self.ports.sent_in_place.load(Ordering::Relaxed) }
    }

    fn give_back(&self, idle: Duration) -> bool {
        let mapped = self.ports.bulk_in.with_port(|port| port.forget_segment(idle)).unwrap_or(false);
        // Somebody sends: then it is not idle.
        let Some(bulk) = self.ports.bulk_out.try_lock() else { return true };
        let Some(sending) = bulk.sending.as_ref().filter(|sending| sending.is_warm()) else { return mapped };
        if bulk.used.is_some_and(|at| at.elapsed() >= idle) {
            let given = sending.give_back();
            log::debug!("connection {}: gave {given} bytes of shared memory back", self.id());
        }
        mapped || sending.is_warm()
    }

    fn announce_sleep(&self) {
        self.parts.own_bell.before_announcing();
        self.sleeper.announce(self.parts.flags.own_sleep());
    }

    fn announce_awake(&self) {
        Sleeper::awake(self.parts.flags.own_sleep());
    }

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.parts.own_bell.as_fd()
    }

    fn cancelled(&self, id: u64) -> bool {
        self.parts.flags.cancelled(id)
    }

    fn cancels(&self) -> u64 {
        self.parts.flags.cancels()
    }

    fn note(&self, id: u64, progress: CallProgress) {
        self.parts.flags.note(id, progress);
    }

    fn close(&self) {
        self.part("closed by the other side");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A forked child shares ports and socket with its parent: it must leave both alone.
        if !self.process.is_current() {
            return;
        }
        if self.is_open() {
            self.part("the connection was dropped");
        }
        if !self.peer_exited() && self.control.lock().hung_up {
            // A hang-up without an exit: the process may be on its way out.
            self.parts.node.peer_died();
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
