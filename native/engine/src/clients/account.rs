//! What counts against a client.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What the worker holds of one client.
#[derive(Default)]
pub(crate) struct Account {
    /// Calls that are received and not yet answered.
    pub(crate) in_flight: AtomicUsize,
    /// Bytes of arguments in queues.
    pub(crate) queued_bytes: AtomicUsize,
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
