//! The connection of a client to a worker in its own process: frames are handed over in memory.
//!
//! It keeps the promises that a session relies on: what is published rings the doorbell of a client that sleeps, and what
//! was published before the end can still be received.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pycrust_protocol::attachments::{ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::handshake::Welcome;
use pycrust_protocol::header::HEADER_LEN;
use pycrust_protocol::limits::{MAX_BODY_LEN, PROTOCOL_VERSION};
use pycrust_transport::sync::Mutex;
use pycrust_transport::{
    Attachment, Block, CallProgress, ControlEvent, Descriptor, Frame, LinkError, SendError, monotonic_ns,
};
use rustix::event::{EventfdFlags, eventfd};

use crate::connection::wire::Wire;
use crate::error::Error;

/// Calls in flight, as with a real worker.
const MAX_IN_FLIGHT: u32 = 16_384;

/// A worker in this process.
pub(crate) trait Inside: Send + Sync {
    /// A client comes.
    fn connect(self: Arc<Self>) -> Result<Arc<Pipe>, Error>;

    /// A frame came.
    fn take(self: Arc<Self>, link: &Arc<Pipe>, frame: &Frame<'_>);

    /// A caller has given up.
    fn cancel(&self, link: &Pipe, id: u64);

    /// A client has closed its connection.
    fn closed(&self, connection: u64);
}

/// Where clients connect.
#[derive(Clone)]
pub(crate) struct Door(pub(crate) Arc<dyn Inside>);

impl Door {
    pub(crate) fn connect(&self) -> Result<Wire, Error> {
        Arc::clone(&self.0).connect().map(Wire::Inside)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Door").finish_non_exhaustive()
    }
}

/// A frame: its header, and its sample.
struct Sent {
    header: [u8; HEADER_LEN],
    sample: Vec<u8>,
}

/// How a worker ended the connection.
#[derive(Default)]
struct Ended {
    goodbye: Option<String>,
    hung_up: bool,
}

/// One connection.
pub(crate) struct Pipe {
    welcome: Welcome,
    worker: Arc<dyn Inside>,
    /// What the worker has sent.
    answers: Mutex<VecDeque<Sent>>,
    waiting: AtomicUsize,
    asleep: AtomicBool,
    /// Rung for each answer while the client sleeps; never read.
    bell: Descriptor,
    /// Rung at the end; never read.
    control: Descriptor,
    ended: Mutex<Ended>,
    gone: AtomicBool,
    open: AtomicBool,
    progress: Mutex<HashMap<u64, CallProgress>>,
}

impl Pipe {
    pub(crate) fn new(worker: Arc<dyn Inside>, generation: u64, connection: u64) -> std::io::Result<Self> {
        let bell = || {
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
                .map(Descriptor::from)
                .map_err(std::io::Error::from)
        };
        Ok(Self {
            welcome: Welcome {
                protocol: PROTOCOL_VERSION,
                pid: std::process::id(),
                generation,
                connection,
                prefix: String::new(),
                request_service: String::new(),
                response_service: String::new(),
                max_in_flight: MAX_IN_FLIGHT,
            },
            worker,
            answers: Mutex::default(),
            waiting: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            bell: bell()?,
            control: bell()?,
            ended: Mutex::default(),
            gone: AtomicBool::new(false),
            open: AtomicBool::new(true),
            progress: Mutex::default(),
        })
    }

    /// The connection's number.
    pub(crate) fn id(&self) -> u64 {
        self.welcome.connection
    }

    /// Sends a frame to the client.
    pub(crate) fn answer(
        &self,
        header: [u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        let sample = sample(parts, attachments)?;
        let mut answers = self.answers.lock();
        answers.push_back(Sent { header, sample });
        self.waiting.store(answers.len(), Ordering::SeqCst);
        drop(answers);
        if self.asleep.load(Ordering::SeqCst) {
            ring(&self.bell);
        }
        Ok(())
    }

    /// How far a call is.
    pub(crate) fn note(&self, id: u64, progress: Option<CallProgress>) {
        let mut all = self.progress.lock();
        match progress {
            Some(progress) => all.insert(id, progress),
            None => all.remove(&id),
        };
    }

    /// Ends the connection, with a word or without.
    pub(crate) fn hang_up(&self, goodbye: Option<&str>) {
        let mut ended = self.ended.lock();
        ended.goodbye = goodbye.map(str::to_owned);
        ended.hung_up = true;
        drop(ended);
        self.gone.store(goodbye.is_none(), Ordering::Release);
        self.open.store(false, Ordering::Release);
        ring(&self.control);
        ring(&self.bell);
    }

    pub(crate) fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub(crate) fn ready(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    #[expect(clippy::unnecessary_wraps, reason = "that of shared memory can fail")]
    pub(crate) fn receive(&self, max: usize, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, LinkError> {
        let received: Vec<_> = {
            let mut answers = self.answers.lock();
            let count = answers.len().min(max);
            let received = answers.drain(..count).collect();
            self.waiting.store(answers.len(), Ordering::SeqCst);
            received
        };
        for Sent { header, sample } in &received {
            sink(&Frame::new(header, sample, sample));
        }
        Ok(received.len())
    }

    pub(crate) fn send_with(
        self: &Arc<Self>,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        if !self.open.load(Ordering::Acquire) {
            return Err(SendError::Gone);
        }
        let sample = sample(parts, attachments)?;
        let mut header = *header;
        header[24..32].copy_from_slice(&monotonic_ns().to_le_bytes());
        Arc::clone(&self.worker).take(self, &Frame::new(&header, &sample, &sample));
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "that of shared memory can fail")]
    pub(crate) fn prepare_bulk(&self, _len: usize) -> Result<bool, SendError> {
        Ok(true)
    }

    #[expect(clippy::unused_self, reason = "shared memory is a connection's")]
    pub(crate) fn block(&self, len: usize) -> Result<Block, SendError> {
        Err(SendError::NoMemory { len, reason: "the worker of a test shares none".into() })
    }

    #[expect(clippy::unused_self, reason = "shared memory is a connection's")]
    pub(crate) fn give_back(&self, _idle: Duration) -> bool {
        false
    }

    pub(crate) fn announce_sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    pub(crate) fn announce_awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    pub(crate) fn doorbell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub(crate) fn hangup_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    pub(crate) fn descriptors(&self) -> [Descriptor; 2] {
        [self.bell.clone(), self.control.clone()]
    }

    pub(crate) fn on_control(&self) -> ControlEvent {
        let mut ended = self.ended.lock();
        match (ended.goodbye.take(), ended.hung_up) {
            (Some(reason), _) => ControlEvent::Goodbye(reason),
            (None, true) => ControlEvent::HungUp,
            (None, false) => ControlEvent::Nothing,
        }
    }

    pub(crate) fn cancel(&self, id: u64) {
        self.worker.cancel(self, id);
    }

    pub(crate) fn progress(&self, id: u64) -> CallProgress {
        self.progress.lock().get(&id).copied().unwrap_or(CallProgress::Sent)
    }

    pub(crate) fn peer_exited(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    #[expect(clippy::unused_self, reason = "another process can be stopped")]
    pub(crate) fn peer_stopped(&self) -> bool {
        false
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
        self.worker.closed(self.id());
    }
}

/// The sample of a frame: its parts, then its attachments behind their table.
fn sample(parts: &[&[u8]], attachments: &mut Vec<Attachment>) -> Result<Vec<u8>, SendError> {
    let mut sample = parts.concat();
    if attachments.is_empty() && sample.len() <= MAX_BODY_LEN {
        return Ok(sample);
    }
    let lens: Vec<_> = attachments.iter().map(Attachment::len).collect();
    let head_len = sample.len() + ENTRY_LEN * attachments.len();
    let Some((ranges, len)) = lay_out(head_len, lens.iter().copied()) else {
        let len = head_len + lens.iter().sum::<usize>();
        return Err(SendError::TooLarge { len, max: MAX_BODY_LEN });
    };
    put_table(&mut sample, &ranges);
    sample.resize(len, 0);
    for (attachment, range) in mem::take(attachments).into_iter().zip(ranges) {
        attachment.write(&mut sample[range]);
    }
    Ok(sample)
}

/// Full, it has been rung often enough.
fn ring(bell: &Descriptor) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}
