//! One established connection: its calls, whose turn it is to receive, and its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use pycrust_protocol::control::Response;
use pycrust_protocol::header::{Common, Credit, Header, flags};
use pycrust_protocol::limits::SMALL_SAMPLE_LEN;
use pycrust_protocol::metadata;
use pycrust_protocol::report::REPORT_LEN;
use pycrust_protocol::{Code, Malformed};
use pycrust_transport::faults::reached;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Frame, ProcessLocal, monotonic_ns};
use tokio::sync::Notify;

use crate::connection::buffers;
use crate::connection::driver::Drivers;
use crate::connection::in_flight::{Amount, Answer, Calls, Delivery, End};
use crate::connection::receive_turn::Taken;
use crate::connection::receive_turn::Turn;
use crate::connection::state::States;
use crate::connection::threads;
use crate::connection::wire::Wire;
use crate::spin::{Policy, Polls, Spin};
use crate::telemetry;

/// Frames received before the callers that they answer are woken.
const BATCH: usize = 64;

/// Looks at the connection between two looks at the clock while polling.
const LOOKS: u32 = 16;

/// Looks whether a session has let go of its connection; somebody who looks at the control socket may keep it, too.
const LOOKS_AT_OWNERS: u32 = 1000;

/// Reports wait this long for a request to travel with.
pub(crate) const REPORT_PATIENCE: Duration = Duration::from_millis(50);

/// One established connection, shared by the clones of a client.
pub(crate) struct Session {
    /// Behind an `Arc`, so that dropping it, which takes milliseconds, can be left to another thread.
    pub(crate) link: Arc<Wire>,
    /// Taken for well under a microsecond, never while sending or receiving, and no waker is woken under it.
    pub(crate) calls: ProcessLocal<Mutex<Calls>>,
    /// Who receives.
    turn: Turn,
    /// Whether to poll before sleeping.
    pub(crate) spin: Policy,
    /// Passed from sender to sender while there is room; the driver starts it when the doorbell rings.
    pub(crate) room: Arc<Notify>,
    /// Told when the control socket was read: the worker may have opened the memory for large frames.
    pub(crate) control_read: Notify,
    /// Told of a slot that became free, if anyone waits for one.
    pub(crate) slot_freed: Notify,
    /// Callers that wait for a slot.
    pub(crate) slot_waiters: AtomicUsize,
    /// The tasks that wait for the doorbell, one on each runtime with a call that had to sleep.
    pub(crate) drivers: ProcessLocal<Drivers>,
    /// When the worker last said something, by its own stamp: what is received late was said before.
    heard_ns: AtomicU64,
    /// Bytes of the largest frame that was sent through the bulk service: one that is no larger needs neither a
    /// handshake nor a new segment.
    pub(crate) sent_large: AtomicUsize,
    /// Methods that have answered calls which wait for a worker and bring arrays that were built in place.
    answering: Mutex<HashSet<String>>,
    /// Whether the worker was found to have what the client expects.
    fits: AtomicBool,
    /// Whether the connection is at its end: `calls` knows why.
    ended: AtomicBool,
    /// Whether the last owner takes the connection down itself.
    unhurried: AtomicBool,
    /// What the client's users are told of it.
    states: Arc<States>,
}

impl Session {
    /// Takes over a connection. At most `max_in_flight` calls at a time.
    pub(crate) fn new(link: Wire, max_in_flight: usize, spin: Spin, states: Arc<States>) -> Arc<Self> {
        let limit = max_in_flight.min(link.welcome().max_in_flight as usize).max(1);
        let session = Self {
            link: Arc::new(link),
            calls: ProcessLocal::new(Mutex::new(Calls::new(limit))),
            turn: Turn::default(),
            spin: Policy::new(spin),
            room: Arc::default(),
            control_read: Notify::new(),
            slot_freed: Notify::new(),
            slot_waiters: AtomicUsize::new(0),
            drivers: ProcessLocal::new(Drivers::default()),
            heard_ns: AtomicU64::new(monotonic_ns()),
            sent_large: AtomicUsize::new(0),
            answering: Mutex::default(),
            fits: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            unhurried: AtomicBool::new(false),
            states,
        };
        // From here on, nobody having the turn means that sleep is announced.
        session.drain();
        Arc::new(session)
    }

    /// Whether this is the process that connected: in a forked child nothing here may be touched, least of all a lock.
    pub(crate) fn is_here(&self) -> bool {
        self.calls.is_here()
    }

    /// Whether the connection is at its end.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the worker was found to have what the client expects.
    pub(crate) fn fits(&self) -> bool {
        self.fits.load(Ordering::Relaxed)
    }

    /// The worker has what the client expects.
    pub(crate) fn does_fit(&self) {
        self.fits.store(true, Ordering::Relaxed);
    }

    /// A method answers here: its calls need not be kept to be sent again.
    pub(crate) fn answers(&self, method: &str) {
        let mut answering = self.answering.lock();
        if !answering.contains(method) {
            answering.insert(method.to_owned());
        }
    }

    /// Whether a method is known to answer here.
    pub(crate) fn has_answered(&self, method: &str) -> bool {
        self.answering.lock().contains(method)
    }

    /// When the worker last said something, on `CLOCK_MONOTONIC`.
    pub(crate) fn heard_ns(&self) -> u64 {
        self.heard_ns.load(Ordering::Relaxed)
    }

    /// The answer to a call that was just sent, if it can be had without sleeping: by polling for so long.
    pub(crate) fn answer_inline(&self, id: u64, polls: Option<Polls>) -> Option<Result<Answer, End>> {
        if let Some(Polls { budget, counts }) = polls {
            if let Some(taken) = self.turn.take() {
                let found = self.poll_for(id, budget);
                if counts {
                    self.spin.learn(found);
                } else {
                    self.spin.learn_rare(found);
                }
                self.leave(taken);
            }
        } else if self.link.ready() {
            self.drain();
        } else {
            return None;
        }
        self.take_answer(id, None)
    }

    /// The answer to a call, if it is there; otherwise `waker` is woken when it is.
    pub(crate) fn take_answer(&self, id: u64, waker: Option<&Waker>) -> Option<Result<Answer, End>> {
        let taken = self.calls.lock().take(id, waker);
        if taken.is_some() {
            self.slot_is_free();
        }
        taken
    }

    /// Lets the next caller know that waits for a slot.
    pub(crate) fn slot_is_free(&self) {
        if self.slot_waiters.load(Ordering::Acquire) > 0 {
            self.slot_freed.notify_one();
        }
    }

    /// Receives everything that is there, here or on the thread that has the turn.
    pub(crate) fn drain(&self) {
        if !self.is_here() {
            return;
        }
        if let Some(taken) = self.turn.take_or_ring() {
            self.link.announce_awake();
            self.receive(0);
            self.leave(taken);
        }
    }

    /// Receives until the answer to call `id` has come or the budget is used up.
    fn poll_for(&self, id: u64, budget: Duration) -> bool {
        self.link.announce_awake();
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if self.link.ready() && self.receive(id) {
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() >= budget || self.ended() {
                return false;
            }
        }
    }

    /// Gives the turn back, so that nothing that was published is left without a reader or a doorbell.
    fn leave<'a>(&'a self, mut taken: Taken<'a>) {
        loop {
            // First announced, then looked: a worker that publishes after the look rings.
            self.link.announce_sleep();
            if self.link.ready() && !self.ended() {
                self.link.announce_awake();
                self.receive(0);
                continue;
            }
            if !taken.give_back() {
                return;
            }
            match self.turn.take_or_ring() {
                Some(again) => taken = again,
                None => return,
            }
        }
    }

    /// Receives everything that is there and wakes whom it is for. True if it answered call `watched`.
    fn receive(&self, watched: u64) -> bool {
        let mut found = false;
        loop {
            let mut broken = None;
            // Mostly one, which costs no allocation.
            let (mut first, mut others) = (None, Vec::new());
            let received = self.link.receive(BATCH, &mut |frame| match self.deliver(frame) {
                Ok((id, waker)) => {
                    found |= id == watched;
                    if first.is_none() { first = waker } else { others.extend(waker) }
                }
                Err(malformed) => broken = Some(malformed),
            });
            // Only now: a task that is woken may run, drop its call and come back here for the locks.
            first.into_iter().chain(others).for_each(Waker::wake);
            if let Some(malformed) = broken {
                let pid = self.link.welcome().pid;
                self.end(Code::Internal, &format!("the worker (pid {pid}) sent a {malformed}"));
            }
            match received {
                Ok(0) => return found,
                // Whoever gives the turn back looks once more.
                Ok(1..BATCH) if found => return true,
                Ok(_) => {}
                Err(error) => {
                    let pid = self.link.welcome().pid;
                    self.end(Code::Unavailable, &format!("the connection to pid {pid} broke: {error}"));
                    return found;
                }
            }
        }
    }

    /// Gives an answer to its call.
    fn deliver(&self, frame: &Frame<'_>) -> Result<(u64, Option<Waker>), Malformed> {
        let header = match Header::decode(frame.header())? {
            Header::Response(header) => header,
            Header::Credit(Credit { id, granted, bytes, .. }) => {
                return Ok((0, self.calls.lock().allow(id, Amount { items: granted, bytes })));
            }
            _ => return Err(Malformed::new(6, "a client receives responses and credits only")),
        };
        let parts = header.common.split(frame.head())?;
        let response = Response::decode(parts.control)?;
        metadata::check(parts.metadata)?;
        // Frames may overtake each other; only one thread at a time receives.
        if header.common.sent_ns > self.heard_ns() {
            self.heard_ns.store(header.common.sent_ns, Ordering::Relaxed);
        }
        // Before the lock: attachments may have to be copied.
        let attachments = frame.attachments(header.common.attachments_in(frame.head(), frame.sample_len())?);
        let delivery = {
            let mut calls = self.calls.lock();
            if header.common.flags & flags::STREAM_ITEM == 0 {
                let body = [response.payload, parts.metadata];
                calls.deliver(response.id, header, response.status, body, attachments)
            } else {
                calls.deliver_item(response.id, header.stream_seq, response.payload, attachments)
            }
        };
        match delivery {
            Delivery::Kept(waker) => Ok((response.id, waker)),
            Delivery::Freed => {
                self.slot_is_free();
                Ok((0, None))
            }
            Delivery::Unknown => {
                log::debug!("an answer to call {:#x}, which has ended, is dropped", response.id);
                Ok((0, None))
            }
        }
    }

    /// Delivers what has been published and fails the calls that are left. The first end counts.
    pub(crate) fn end_after_draining(&self, code: Code, reason: &str) {
        if !self.is_here() {
            return;
        }
        // Whoever has the turn gives it back within the time that a task may poll.
        let taken = loop {
            if let Some(taken) = self.turn.take() {
                break taken;
            }
            std::thread::yield_now();
        };
        self.receive(0);
        self.end(code, reason);
        self.leave(taken);
    }

    /// Fails every call that has no answer and closes the connection. The first end counts.
    pub(crate) fn end(&self, code: Code, reason: &str) {
        let woken = self.calls.lock().end(End { code, reason: reason.into() });
        self.ended.store(true, Ordering::Release);
        reached("close.session_ended");
        let welcome = self.link.welcome();
        let told = self.states.ended(welcome.generation, welcome.connection, reason);
        self.link.close();
        woken.into_iter().for_each(Waker::wake);
        self.room.notify_waiters();
        self.control_read.notify_waiters();
        self.slot_freed.notify_waiters();
        self.drivers.nudge();
        // Last: whoever listens may use the client. What its user has ended is not lost.
        if told && code != Code::Cancelled {
            telemetry::lost(&self.states.endpoint, reason);
        }
    }

    /// Gives up a call whose caller went away.
    pub(crate) fn give_up(&self, id: u64, sent: bool) {
        if !self.is_here() {
            return;
        }
        if self.calls.lock().abandon(id, sent) {
            self.link.cancel(id);
            reached("request.given_up");
        } else {
            self.slot_is_free();
        }
    }

    /// Sends the reports that wait, in frames of their own.
    pub(crate) fn flush_reports(&self) {
        let mut body = buffers::take();
        loop {
            body.clear();
            let count = self.calls.lock().take_reports(SMALL_SAMPLE_LEN / REPORT_LEN, &mut body);
            let common = Common { reports: count as u32, ..Common::default() };
            // Reports that find no room are lost: statistics are not worth waiting for.
            if count == 0 || self.link.send(&common.encode_report(), &[&body]).is_err() {
                break;
            }
        }
        buffers::give(body);
    }

    /// Makes the last owner drop the connection on its own thread, which may block.
    pub(crate) fn drop_in_place(&self) {
        self.unhurried.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_here() {
            return;
        }
        self.drivers.abort();
        if !self.ended() {
            self.flush_reports();
            self.end(Code::Cancelled, "the client was dropped");
        }
        // Taking down the shared memory takes milliseconds, of many clients seconds: not here, unless it is a thread
        // for that.
        if !*self.unhurried.get_mut() && !threads::is_hand() {
            threads::drop_later(LastOwner(Arc::clone(&self.link)));
        }
    }
}

/// Drops a connection once the session, which is being dropped elsewhere, has let go of it.
struct LastOwner(Arc<Wire>);

impl Drop for LastOwner {
    fn drop(&mut self) {
        for _ in 0..LOOKS_AT_OWNERS {
            if Arc::strong_count(&self.0) == 1 {
                break;
            }
            std::thread::yield_now();
        }
    }
}
