//! A process's node under one prefix, and the clean-up when it goes.

use std::mem::ManuallyDrop;
use std::thread;
use std::time::Duration;

use iceoryx2::prelude::{Config, Node};
use parking_lot::Mutex;

use crate::error::TransportError;
use crate::iox::{self, Iox};
use crate::remains;

/// How often, and how long apart, a clean-up is tried again: iceoryx2's locks go a moment after a death.
const RETRIES: u32 = 20;
/// See [`RETRIES`].
const RETRY_AFTER: Duration = Duration::from_millis(25);

/// This process's node: the worker's own for all its connections, or one client connection's.
///
/// Whoever drops the last one of a prefix removes everything that is left under it.
pub(crate) struct Lifeline {
    /// The node; a mutex because nodes are not `Sync`. Not dropped in a forked child.
    node: ManuallyDrop<Mutex<Node<Iox>>>,
    /// iceoryx2's configuration for the prefix.
    config: Config,
    /// The prefix of the worker's life.
    prefix: String,
    /// The process that made the node.
    pid: u32,
    /// Set when the other side died: its node may look alive for a moment more.
    peer_died: std::sync::atomic::AtomicBool,
}

impl Lifeline {
    /// Makes a node under `prefix`.
    pub(crate) fn new(prefix: &str) -> Result<Self, TransportError> {
        let config = remains::config(prefix)?;
        let node = iox::node(&config)?;
        remains::close_to_others(prefix);
        Ok(Self {
            node: ManuallyDrop::new(Mutex::new(node)),
            config,
            prefix: prefix.into(),
            pid: std::process::id(),
            peer_died: false.into(),
        })
    }

    /// Uses the node.
    pub(crate) fn with_node<T>(&self, use_it: impl FnOnce(&Node<Iox>) -> T) -> T {
        use_it(&self.node.lock())
    }

    /// The prefix of the worker's life.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Cleans up after dead clients. Returns whether some could not be cleaned up yet.
    pub(crate) fn clean_dead_nodes(&self) -> bool {
        remains::clean_dead_nodes(&self.config).left > 0
    }

    /// Remembers that the other side died.
    pub(crate) fn peer_died(&self) {
        self.peer_died.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // A forked child must not touch what belongs to its parent.
        if self.pid != std::process::id() {
            return;
        }
        // SAFETY: dropped once, here, and not used after.
        unsafe { ManuallyDrop::drop(&mut self.node) };
        let prefix = std::mem::take(&mut self.prefix);
        let in_use = remains::sweep(&prefix);
        if in_use && self.peer_died.load(std::sync::atomic::Ordering::Relaxed) {
            let retry = move || {
                for _ in 0..RETRIES {
                    thread::sleep(RETRY_AFTER);
                    if !remains::sweep(&prefix) {
                        break;
                    }
                }
            };
            // Should no thread be had, the next start of the worker cleans up.
            let _ = thread::Builder::new().name("pycrust-cleanup".into()).spawn(retry);
        }
    }
}
