//! A connected client: its connection, its calls, its answers that wait.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use pycrust_protocol::header::HEADER_LEN;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Attachment, Frame, Link, Peer, SendError};

use crate::clients::account::Account;
use crate::clients::ongoing::Ongoing;
use crate::clients::outbox::Outbox;
use crate::recording::recorder::Origin;

/// One connected client.
pub(crate) struct Client<L> {
    /// Its connection.
    pub(crate) link: Arc<L>,
    /// The connection's number.
    pub(crate) id: u64,
    /// Its process.
    pub(crate) peer: Peer,
    /// The same, for records, which outlive the connection.
    pub(crate) origin: Arc<Origin>,
    /// Its calls in flight.
    pub(crate) account: Account,
    /// Answers that wait for room.
    pub(crate) outbox: Outbox,
    /// Calls of which the client says more later, by their ids.
    pub(crate) ongoing: Mutex<HashMap<u64, Arc<Ongoing>>>,
    /// How well its calls were expected.
    pub(crate) anticipated: Anticipated,
    /// The round of its next turn, of those in which clients share threads; under the scheduler's lock.
    pub(crate) turn: AtomicU64,
    /// Whether frames were published for which nobody has rung yet.
    unrung: AtomicBool,
    /// Cancelled calls that were looked for.
    cancels: AtomicU64,
    /// The connection failed or the client is gone: nothing is received or sent any more.
    gone: AtomicBool,
}

/// How well a client's calls were expected; the leader counts.
#[derive(Debug, Default)]
pub(crate) struct Anticipated {
    /// Nanoseconds between two of its ticks; 0 if it has no rhythm.
    pub(crate) period_ns: AtomicU64,
    /// Calls for which somebody was awake.
    pub(crate) hits: AtomicU64,
    /// Times that somebody was awake and no call came.
    pub(crate) misses: AtomicU64,
    /// Nanoseconds that were polled for it.
    pub(crate) awake_ns: AtomicU64,
}

impl<L: Link> Client<L> {
    /// A client of this connection. `waiting` counts the bytes of answers that wait for anybody.
    pub(crate) fn new(link: Arc<L>, waiting: Arc<AtomicUsize>) -> Self {
        let (id, peer) = (link.id(), link.peer());
        let origin = Origin { name: peer.name.clone(), pid: peer.pid, connection: id };
        Self {
            id,
            peer,
            origin: Arc::new(origin),
            link,
            account: Account::default(),
            outbox: Outbox::new(waiting),
            ongoing: Mutex::default(),
            anticipated: Anticipated::default(),
            turn: AtomicU64::new(0),
            unrung: AtomicBool::new(false),
            cancels: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        }
    }

    /// Nothing is received or sent any more.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Whether it has cancelled calls since the last look.
    pub(crate) fn has_cancelled(&self) -> bool {
        self.link.cancels() != self.cancels.load(Ordering::Relaxed)
    }

    /// Tells the calls that it has cancelled since the last look.
    pub(crate) fn pass_on_cancels(&self) {
        // Read first: a cancel that comes during the look asks for another one.
        self.cancels.store(self.link.cancels(), Ordering::Relaxed);
        self.pass_on(|id| self.link.cancelled(id));
    }

    /// Cancels the calls that `condemned` names.
    pub(crate) fn pass_on(&self, condemned: impl Fn(u64) -> bool) {
        let calls: Vec<_> = {
            let ongoing = self.ongoing.lock();
            ongoing.iter().filter(|(id, _)| condemned(**id)).map(|(_, call)| Arc::clone(call)).collect()
        };
        // Not under the lock: a call that ends takes it.
        for call in calls {
            call.cancel();
        }
    }

    /// There is room for answers again: streams that paused go on.
    pub(crate) fn ease(&self) {
        let calls: Vec<_> = self.ongoing.lock().values().map(Arc::clone).collect();
        for call in calls {
            call.eased();
        }
    }

    /// What belongs to a call of this client that goes on.
    pub(crate) fn ongoing(&self, id: u64) -> Option<Arc<Ongoing>> {
        self.ongoing.lock().get(&id).cloned()
    }

    /// Receives up to `max` frames. A connection that fails is closed; its clean-up follows when the
    /// control thread reports it.
    pub(crate) fn receive(&self, max: usize, sink: &mut dyn FnMut(&Frame<'_>)) -> usize {
        // iceoryx2 ends in a panic where it finds an invariant broken: that costs this connection only.
        match catch_unwind(AssertUnwindSafe(|| self.link.receive(max, sink))) {
            Ok(Ok(count)) => count,
            Ok(Err(error)) => self.fail(&error.to_string()),
            Err(_) => self.fail("receiving panicked"),
        }
    }

    /// Sends one frame; see [`Client::receive`] for panics.
    pub(crate) fn send(&self, header: &[u8; HEADER_LEN], parts: &[&[u8]]) -> Result<(), SendError> {
        self.send_with(header, parts, &mut Vec::new())
    }

    /// Sends one frame with attachments.
    pub(crate) fn send_with(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        self.sending(|link| link.send_with(header, parts, attachments))
    }

    /// Sends one frame, and leaves it to [`ring`](Self::ring) to wake the client.
    pub(crate) fn publish(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        self.sending(|link| link.publish(header, parts, attachments))?;
        self.unrung.store(true, Ordering::Release);
        Ok(())
    }

    /// Wakes the client for what was published, if nobody has yet; whether there was something.
    pub(crate) fn ring(&self) -> bool {
        let unrung = self.unrung.load(Ordering::Acquire) && self.unrung.swap(false, Ordering::AcqRel);
        if unrung && !self.is_gone() {
            self.link.ring();
        }
        unrung
    }

    /// Whether frames were published for which nobody has rung yet.
    pub(crate) fn is_unrung(&self) -> bool {
        self.unrung.load(Ordering::Acquire)
    }

    fn sending(&self, send: impl FnOnce(&L) -> Result<(), SendError>) -> Result<(), SendError> {
        if self.is_gone() {
            return Err(SendError::Gone);
        }
        catch_unwind(AssertUnwindSafe(|| send(&self.link))).unwrap_or_else(|_| {
            self.fail("sending panicked");
            Err(SendError::Gone)
        })
    }

    /// Closes the connection, of which the log says why; nothing was received.
    pub(crate) fn fail(&self, reason: &str) -> usize {
        log::error!("closing connection {} of {}: {reason}", self.id, named(&self.peer));
        self.leave();
        self.link.close();
        0
    }
}

/// A client as the log names it. It chose its name itself: no line of the log may begin in it.
pub(crate) fn named(peer: &Peer) -> String {
    format!("{} (pid {})", peer.name.escape_debug(), peer.pid)
}
