//! What counts against a client.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls in flight of one client.
#[derive(Default)]
pub(crate) struct Account(pub(crate) AtomicUsize);

impl Account {
    /// Calls of this client that are received and not yet answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
