//! Who asks for the interpreter while somebody wants to know whether it can be had.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Waits for the interpreter, and lets it go again.
pub type Attach = Box<dyn Fn() + Send + Sync>;

/// One thread at a time that waits for the interpreter.
#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) attach: OnceLock<Attach>,
    /// When the thread began to wait that waits now; 0 if none does.
    since_ns: Arc<AtomicU64>,
}

/// The one that waits; dropped, it waits no longer.
pub(crate) struct Waiting(Arc<AtomicU64>);

impl Probe {
    /// Since when a thread waits.
    pub(crate) fn waits_since(&self) -> Option<u64> {
        Some(self.since_ns.load(Ordering::Acquire)).filter(|since_ns| *since_ns > 0)
    }

    /// Begins to wait; `None` if somebody does already.
    pub(crate) fn begin(&self, now_ns: u64) -> Option<Waiting> {
        let begun = self.since_ns.compare_exchange(0, now_ns.max(1), Ordering::AcqRel, Ordering::Relaxed);
        begun.is_ok().then(|| Waiting(Arc::clone(&self.since_ns)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}
