//! A connection in memory, for a worker that need not be found first: a bounded window each way, flags that only the
//! sleeper writes, an eventfd that is rung and never read.

use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pycrust_protocol::attachments::{ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::header::{Common, HEADER_LEN};
use pycrust_transport::{
    Attachment, Block, Frame as Received, Link, LinkError, Memory, Peer, SendError, monotonic_ns,
};
use rustix::event::{EventfdFlags, eventfd};

/// One frame: its header and its sample.
pub type Frame = ([u8; HEADER_LEN], Vec<u8>);

/// The worker's end; the client's is what it has beside [`Link`].
pub struct MemoryLink {
    id: u64,
    requests: Mutex<VecDeque<Frame>>,
    waiting: AtomicUsize,
    responses: Mutex<VecDeque<Frame>>,
    answered: Condvar,
    /// Responses that may lie unread.
    window: usize,
    asleep: AtomicBool,
    space_wanted: AtomicBool,
    doorbell: OwnedFd,
    open: AtomicBool,
    cancelled: Mutex<HashSet<u64>>,
    cancels: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryLink {
    /// A connection of whose responses `window` may lie unread.
    pub fn new(id: u64, window: usize) -> Self {
        Self {
            id,
            requests: Mutex::default(),
            waiting: AtomicUsize::new(0),
            responses: Mutex::default(),
            answered: Condvar::new(),
            window,
            asleep: AtomicBool::new(false),
            space_wanted: AtomicBool::new(false),
            doorbell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("a descriptor"),
            open: AtomicBool::new(true),
            cancelled: Mutex::default(),
            cancels: AtomicU64::new(0),
        }
    }

    /// The client sends a frame.
    pub fn put(&self, frame: Frame) {
        let mut requests = locked(&self.requests);
        requests.push_back(frame);
        self.waiting.store(requests.len(), Ordering::Release);
        drop(requests);
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.ring();
        }
    }

    /// The client waits for a frame, for a while.
    pub fn take_within(&self, time: Duration) -> Option<Frame> {
        let responses = locked(&self.responses);
        let waited = self.answered.wait_timeout_while(responses, time, |responses| responses.is_empty());
        let (mut responses, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let frame = responses.pop_front();
        drop(responses);
        fence(Ordering::SeqCst);
        if self.space_wanted.swap(false, Ordering::SeqCst) {
            self.ring();
        }
        frame
    }

    /// The client cancels a call.
    pub fn cancel(&self, id: u64) {
        locked(&self.cancelled).insert(id);
        self.cancels.fetch_add(1, Ordering::SeqCst);
        self.ring();
    }

    /// The client rings, whatever for.
    pub fn ring(&self) {
        // If it is full, it rings already.
        let _ = rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes());
    }

    /// Requests that the worker has not received.
    pub fn unreceived(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

impl Link for MemoryLink {
    fn id(&self) -> u64 {
        self.id
    }

    fn peer(&self) -> Peer {
        Peer { pid: 1, name: format!("client {}", self.id) }
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn ready(&self) -> bool {
        self.unreceived() > 0
    }

    fn receive(&self, max: usize, sink: &mut dyn FnMut(&Received<'_>)) -> Result<usize, LinkError> {
        let frames: Vec<Frame> = {
            let mut requests = locked(&self.requests);
            let count = requests.len().min(max);
            requests.drain(..count).collect()
        };
        for (header, sample) in &frames {
            // As the transport gives it: what may be read, and what attachments are cut from.
            let head = Common::head_len(header, sample.len());
            sink(&Received::new(header, &sample[..head], sample));
        }
        // Only now: a client that sees none waiting knows that all of them were taken.
        self.waiting.store(locked(&self.requests).len(), Ordering::Release);
        Ok(frames.len())
    }

    fn publish(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Gone);
        }
        let mut responses = locked(&self.responses);
        if responses.len() >= self.window {
            self.space_wanted.store(true, Ordering::SeqCst);
            return Err(SendError::Full);
        }
        let mut header = *header;
        header[24..32].copy_from_slice(&monotonic_ns().to_le_bytes());
        let mut sample = parts.concat();
        if !attachments.is_empty() {
            let lens = attachments.iter().map(Attachment::len);
            let laid_out = lay_out(sample.len() + ENTRY_LEN * attachments.len(), lens);
            let (ranges, len) = laid_out.ok_or(SendError::Gone)?;
            put_table(&mut sample, &ranges);
            sample.resize(len, 0);
            for (attachment, range) in attachments.iter().zip(ranges) {
                attachment.write(&mut sample[range]);
            }
        }
        responses.push_back((header, sample));
        attachments.clear();
        Ok(())
    }

    fn ring(&self) {
        let _responses = locked(&self.responses);
        self.answered.notify_all();
    }

    fn sends_at_once(&self, _len: usize) -> bool {
        false
    }

    fn block(&self, len: usize) -> Result<Block, SendError> {
        Err(SendError::NoMemory { len, reason: "there is none here".into() })
    }

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn give_back(&self, _idle: Duration) -> bool {
        false
    }

    fn announce_sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn announce_awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    fn cancelled(&self, id: u64) -> bool {
        locked(&self.cancelled).contains(&id)
    }

    fn cancels(&self) -> u64 {
        self.cancels.load(Ordering::SeqCst)
    }

    fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}
