//! A connection in memory that keeps the real one's promises: a bounded window each way, flags that only
//! the sleeper writes, eventfds that are rung and never read.

use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use pycrust_protocol::attachments::{ENTRY_LEN, lay_out, put_table};
use pycrust_protocol::header::HEADER_LEN;
use pycrust_transport::{
    Attachment, Block, Frame as Received, Link, LinkError, Memory, Peer, SendError, monotonic_ns,
};
use rustix::event::{EventfdFlags, eventfd};

use super::HANG;

/// One frame: its header and its sample.
pub type Frame = ([u8; HEADER_LEN], Vec<u8>);

pub struct MemoryLink {
    id: u64,
    requests: Mutex<VecDeque<Frame>>,
    waiting: AtomicUsize,
    responses: Mutex<VecDeque<Frame>>,
    answered: Condvar,
    /// How often the worker rang.
    pub rings: AtomicUsize,
    /// Responses that may lie unread.
    window: AtomicUsize,
    asleep: AtomicBool,
    space_wanted: AtomicBool,
    doorbell: OwnedFd,
    open: AtomicBool,
    cancelled: Mutex<HashSet<u64>>,
    cancels: AtomicU64,
    /// What the next large sends answer instead of sending.
    pub failures: Mutex<VecDeque<SendError>>,
    /// Announces frames that are not there.
    pub lies: AtomicBool,
    /// Panics when asked for frames.
    pub panics: AtomicBool,
}

impl MemoryLink {
    pub fn new(id: u64, window: usize) -> Self {
        Self {
            id,
            requests: Mutex::default(),
            waiting: AtomicUsize::new(0),
            responses: Mutex::default(),
            answered: Condvar::new(),
            rings: AtomicUsize::new(0),
            window: AtomicUsize::new(window),
            asleep: AtomicBool::new(false),
            space_wanted: AtomicBool::new(false),
            doorbell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap(),
            open: AtomicBool::new(true),
            cancelled: Mutex::default(),
            cancels: AtomicU64::new(0),
            failures: Mutex::default(),
            lies: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        }
    }

    /// The client sends a frame.
    pub fn put(&self, frame: Frame) {
        let mut requests = self.requests.lock().unwrap();
        requests.push_back(frame);
        self.waiting.store(requests.len(), Ordering::Release);
        drop(requests);
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.ring_worker();
        }
    }

    /// The client waits for a frame.
    pub fn take(&self) -> Frame {
        self.take_within(HANG).expect("an answer should have come")
    }

    /// The client waits for a frame, for a while.
    pub fn take_within(&self, time: Duration) -> Option<Frame> {
        let responses = self.responses.lock().unwrap();
        let (mut responses, _) =
            self.answered.wait_timeout_while(responses, time, |responses| responses.is_empty()).unwrap();
        let frame = responses.pop_front();
        drop(responses);
        fence(Ordering::SeqCst);
        if self.space_wanted.swap(false, Ordering::SeqCst) {
            self.ring_worker();
        }
        frame
    }

    pub fn cancel(&self, id: u64) {
        self.cancelled.lock().unwrap().insert(id);
        self.cancels.fetch_add(1, Ordering::SeqCst);
        self.ring_worker();
    }

    pub fn ring_worker(&self) {
        rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes()).unwrap();
    }

    /// Requests that the worker has not received.
    pub fn unreceived(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn put_answer(&self, header: &[u8; HEADER_LEN], parts: &[&[u8]]) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Gone);
        }
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let window = self.window.load(Ordering::Relaxed);
        let mut responses = self.responses.lock().unwrap();
        if responses.len() >= window {
            self.space_wanted.store(true, Ordering::SeqCst);
            return Err(SendError::Full);
        }
        let mut header = *header;
        header[24..32].copy_from_slice(&monotonic_ns().to_le_bytes());
        responses.push_back((header, parts.concat()));
        Ok(())
    }

    /// Whether the worker sleeps as far as this client can see.
    pub fn worker_sleeps(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }
}

impl Link for MemoryLink {
    fn id(&self) -> u64 {
        self.id
    }

    fn peer(&self) -> Peer {
        Peer { pid: 1000 + self.id as u32, name: format!("client {}", self.id) }
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn ready(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 || self.lies.load(Ordering::Relaxed)
    }

    fn receive(&self, max: usize, sink: &mut dyn FnMut(&Received<'_>)) -> Result<usize, LinkError> {
        assert!(!self.panics.load(Ordering::Relaxed), "as the test asked");
        let frames: Vec<Frame> = {
            let mut requests = self.requests.lock().unwrap();
            let count = requests.len().min(max);
            let frames = requests.drain(..count).collect();
            self.waiting.store(requests.len(), Ordering::Release);
            frames
        };
        for (header, sample) in &frames {
            sink(&Received::new(header, sample, sample));
        }
        Ok(frames.len())
    }

    fn publish(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
    ) -> Result<(), SendError> {
        let head = parts.concat();
        if attachments.is_empty() {
            return self.put_answer(header, &[&head]);
        }
        let lens = attachments.iter().map(Attachment::len);
        let (ranges, len) = lay_out(head.len() + ENTRY_LEN * attachments.len(), lens).unwrap();
        let mut sample = head;
        put_table(&mut sample, &ranges);
        sample.resize(len, 0);
        for (attachment, range) in attachments.iter().zip(ranges) {
            attachment.write(&mut sample[range]);
        }
        self.put_answer(header, &[&sample]).map(|()| attachments.clear())
    }

    fn sends_at_once(&self, _len: usize) -> bool {
        false
    }

    fn block(&self, len: usize) -> Result<Block, SendError> {
        Err(SendError::NoMemory { len, reason: "a test has none".into() })
    }

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn give_back(&self, _idle: Duration) -> bool {
        false
    }

    fn ring(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        let _responses = self.responses.lock().unwrap();
        self.answered.notify_all();
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
        self.cancelled.lock().unwrap().contains(&id)
    }

    fn cancels(&self) -> u64 {
        self.cancels.load(Ordering::SeqCst)
    }

    fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}
