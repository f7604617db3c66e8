//! A process's node under one prefix, and the clean-up when it goes.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use iceoryx2::prelude::{Config, Node};

use crate::error::TransportError;
use crate::iox::{self, Iox};
use crate::remains;
use crate::sync::Mutex;

/// How often, and how long apart, a clean-up is tried again: iceoryx2's locks go a moment after a death.
const RETRIES: u32 = 20;
/// See [`RETRIES`].
const RETRY_AFTER: Duration = Duration::from_millis(25);

/// The nodes of this process that live: how many there are under each prefix, and the process that made them.
static LIVE: Mutex<BTreeMap<(u32, String), usize>> = Mutex::new(BTreeMap::new());

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
        let pid = std::process::id();
        clean_up_at_exit();
        *LIVE.lock().entry((pid, prefix.into())).or_default() += 1;
        Ok(Self {
            node: ManuallyDrop::new(Mutex::new(node)),
            config,
            prefix: prefix.into(),
            pid,
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
        forget(self.pid, &prefix);
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

/// Counts a node that is gone.
fn forget(pid: u32, prefix: &str) {
    let mut live = LIVE.lock();
    let key = (pid, prefix.to_owned());
    if let Some(nodes) = live.get_mut(&key) {
        *nodes -= 1;
        if *nodes == 0 {
            live.remove(&key);
        }
    }
}

/// Call when this process is about to end without dropping everything: removes what it has in shared memory under every
/// prefix that no other process uses. It happens by itself at an ordinary exit, but not before `_exit`.
///
/// What stays otherwise is what somebody still looks at: a view that is never dropped, such as an array in a variable of
/// a module, keeps its node.
pub fn clean_up() {
    // Somebody may be stopped in the middle of a change; then the next start of the worker cleans up.
    let Some(live) = LIVE.try_lock() else { return };
    for ((pid, prefix), nodes) in &*live {
        if *pid == std::process::id() {
            remains::sweep_own(prefix, *nodes);
        }
    }
}

/// Has [`clean_up`] called at an ordinary exit.
fn clean_up_at_exit() {
    extern "C" fn at_exit() {
        clean_up();
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: it only adds the function to a list; the function needs nothing that ends before the process does.
        let _ = unsafe { libc::atexit(at_exit) };
    });
}
