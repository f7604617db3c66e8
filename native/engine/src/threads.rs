//! The engine's threads: who they are, and when the last one has ended.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pycrust_transport::sync::{Condvar, Mutex};

/// Counts the threads that work for an engine, so that whoever stops it can wait for them.
#[derive(Default)]
pub(crate) struct Alive {
    count: Mutex<usize>,
    /// Told when a thread has ended.
    changed: Condvar,
}

impl Alive {
    /// Counts one more thread until what is returned is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Presence {
        *self.count.lock() += 1;
        Presence(Arc::clone(self))
    }

    pub(crate) fn count(&self) -> usize {
        *self.count.lock()
    }

    /// Waits until no thread is left; `false` if some are when the time is up.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut count = self.count.lock();
        while *count > 0 {
            count = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => self.changed.wait_for(count, left),
                None => self.changed.wait(count),
            };
        }
        *count == 0
    }
}

/// One counted thread.
pub(crate) struct Presence(Arc<Alive>);

impl Drop for Presence {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.changed.notify_all();
    }
}

/// Where a dispatch thread signs off.
pub(crate) trait Threads: Send + Sync {
    /// The thread ended, by itself or by a panic: if it led, another one must.
    fn signed_off(self: Arc<Self>, token: u64, life: u64);
}

/// A dispatch thread's place in the engine. The thread owns it and gives it to
/// [`Engine::next`](crate::Engine::next); dropping it signs the thread off.
pub struct DispatchThread {
    /// Tells this thread from every other of the engine.
    pub(crate) token: u64,
    /// The start of the engine that it belongs to.
    pub(crate) life: u64,
    /// `CLOCK_MONOTONIC` when it was last given a call by [`Engine::next`](crate::Engine::next).
    pub(crate) given_ns: u64,
    /// Where it waits while another one leads.
    pub(crate) seat: Arc<Condvar>,
    /// Where it signs off.
    pub(crate) threads: Weak<dyn Threads>,
    /// Counts it as alive.
    pub(crate) _presence: Presence,
}

impl DispatchThread {
    /// A number for the thread's name; never used twice in an engine.
    pub fn number(&self) -> u64 {
        self.token
    }
}

impl Drop for DispatchThread {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.upgrade() {
            threads.signed_off(self.token, self.life);
        }
    }
}
