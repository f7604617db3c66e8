//! What counts against a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the worker holds of one client.
#[derive(Default)]
pub(crate) struct Account {
    /// Calls that are received and not yet answered.
    pub(crate) in_flight: AtomicUsize,
    /// Bytes of arguments in queues.
    pub(crate) queued_bytes: AtomicUsize,
    /// Bytes of streamed arguments that no handler has taken.
    pub(crate) streamed: Arc<AtomicUsize>,
}

/// Bytes that count against a client, and in all, until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: usize,
    counts: [Arc<AtomicUsize>; 2],
}

impl Held {
    /// Counts so many bytes.
    pub(crate) fn new(bytes: usize, counts: [&Arc<AtomicUsize>; 2]) -> Self {
        let counts = counts.map(Arc::clone);
        for count in &counts {
            count.fetch_add(bytes, Ordering::Relaxed);
        }
        Self { bytes, counts }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Account {
    /// Calls of this client that are received and not yet answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Bytes of its arguments in queues.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }
}
