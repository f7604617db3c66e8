//! The receiving half of one service: look, take, hand over, free.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pycrust_protocol::header::Common;

use crate::connection::frame::Frame;
use crate::connection::view::{InPort, View};
use crate::error::LinkError;
use crate::faults::reached;
use crate::sync::Mutex;

thread_local! {
    /// Where this thread copies what it reads of a frame.
    static HEAD: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that a thread keeps for that.
const KEPT: usize = 1 << 20;

/// The receiving half of one service.
pub(crate) struct Receiving {
    /// The value of the sender's word up to which everything was received.
    seen: AtomicU64,
    /// The port, once there is one; held while frames are taken, so that they stay in order.
    port: Mutex<Port>,
}

/// The port and its count.
struct Port {
    /// The port; the bulk service's is made late.
    receiver: Option<Arc<InPort>>,
    /// Frames whose slot is free again. Our own count: the shared word is only written.
    consumed: u64,
}

impl Receiving {
    /// Receives from `receiver`, or from nothing yet.
    pub(crate) fn new(receiver: Option<Arc<InPort>>) -> Self {
        Self { seen: AtomicU64::new(0), port: Mutex::new(Port { receiver, consumed: 0 }) }
    }

    /// Gives it the port that it had to wait for.
    pub(crate) fn open(&self, receiver: Arc<InPort>) {
        self.port.lock().receiver = Some(receiver);
    }

    /// Uses the port, if there is one.
    pub(crate) fn with_port<T>(&self, use_it: impl FnOnce(&InPort) -> T) -> Option<T> {
        self.port.lock().receiver.as_deref().map(use_it)
    }

    /// Has the sender published something that was not received?
    pub(crate) fn ready(&self, published: &AtomicU64) -> bool {
        published.load(Ordering::Acquire) != self.seen.load(Ordering::Relaxed)
    }

    /// Receives at most `max` frames and counts them in `consumed`. Up to `views` samples may be kept.
    pub(crate) fn receive(
        &self,
        max: usize,
        views: usize,
        published: &AtomicU64,
        consumed: &AtomicU64,
        sink: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<usize, LinkError> {
        let mut port = self.port.lock();
        let Port { receiver, consumed: count } = &mut *port;
        let target = published.load(Ordering::Acquire);
        let mut seen = self.seen.load(Ordering::Relaxed);
        let mut received = 0;
        let mut head = HEAD.take();
        // Every round takes a frame or ends the loop, whatever the sender's word says.
        while received < max && seen != target {
            let sample = match receiver.as_ref().map(|port| port.receiver().receive()) {
                Some(Ok(Some(sample))) => sample,
                // The word announces what is not there: take it as it is, until it changes.
                Some(Ok(None)) | None => {
                    self.seen.store(target, Ordering::Relaxed);
                    break;
                }
                Some(Err(error)) => {
                    self.seen.store(target, Ordering::Relaxed);
                    return Err(LinkError::Failed(error.to_string()));
                }
            };
            reached("frame.taken");
            seen = seen.wrapping_add(1);
            self.seen.store(seen, Ordering::Relaxed);
            *count = count.wrapping_add(1);
            received += 1;
            let (header, bytes) = (sample.user_header().0, sample.payload());
            head.clear();
            head.extend_from_slice(&bytes[..Common::head_len(&header, bytes.len())]);
            match receiver.as_ref() {
                Some(port) if port.pinned() < views => {
                    sink(&Frame::viewed(&header, &head, &View::pin(sample, port)));
                }
                port => {
                    match port {
                        Some(port) if views > 0 => sink(&Frame::at_bound(&header, &head, bytes, port)),
                        _ => sink(&Frame::new(&header, &head, bytes)),
                    }
                    reached("frame.read");
                    // First the slot, then the word that says so.
                    drop(sample);
                }
            }
            consumed.store(*count, Ordering::Release);
            reached("frame.freed");
        }
        if head.capacity() <= KEPT {
            HEAD.set(head);
        }
        Ok(received)
    }
}
