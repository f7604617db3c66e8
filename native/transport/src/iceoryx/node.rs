//! A process's node in one worker's life, and the clean-up when it goes.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use iceoryx2::prelude::Config;

use crate::claiming::lockfile::LockFile;
use crate::descriptors;
use crate::error::{ClaimError, TransportError};
use crate::faults::reached;
use crate::gate;
use crate::iceoryx::iox::{self, Iox, Service, Size};
use crate::iceoryx::leftovers;
use crate::iceoryx::life::{self, Life};
use crate::owner::Owner;
use crate::process::{PerProcess, Process};
use crate::sync::{Mutex, MutexGuard};

/// How often, and how long apart, a clean-up is tried again: the kernel closes a dead process's files one after the
/// other, and the lock may be the last.
const RETRIES: u32 = 20;
/// See [`RETRIES`].
const RETRY_AFTER: Duration = Duration::from_millis(25);

/// This process's node in a life: of the worker and all its connections, or of all its clients in this process.
pub(crate) struct Node {
    /// The node. Not dropped in a forked child.
    inner: ManuallyDrop<iceoryx2::node::Node<Iox>>,
    /// iceoryx2's configuration for the life.
    config: Config,
    /// The life.
    life: Life,
    /// The process that made the node.
    process: Process,
    /// Set when the other side died: it may look alive for a moment more.
    peer_died: AtomicBool,
}

impl Node {
    /// Begins the life of a worker, which keeps the lock for as long as it serves.
    pub(crate) fn begin(prefix: &str, owner: &Owner) -> Result<(Arc<Self>, LockFile), ClaimError> {
        // Before anything is made that could not be finished.
        iox::check_room()?;
        let (life, lock) = Life::begin(prefix, owner)?;
        let node = Self::new(life)?;
        lives().push(Arc::downgrade(&node));
        Ok((node, lock))
    }

    /// Joins the life of a worker, as all clients of this process do together.
    pub(crate) fn join(prefix: &str) -> Result<Arc<Self>, TransportError> {
        life::check(prefix)?;
        let mut lives = lives();
        lives.retain(|node| node.strong_count() > 0);
        let ours = lives.iter().filter_map(Weak::upgrade).find(|node| node.prefix() == prefix);
        if let Some(node) = ours {
            return Ok(node);
        }
        let node = Self::new(Life::join(prefix)?)?;
        lives.push(Arc::downgrade(&node));
        Ok(node)
    }

    fn new(life: Life) -> Result<Arc<Self>, TransportError> {
        let config = iox::config(&life::root(life.prefix()), life.prefix())?;
        iox::check_room()?;
        let node = descriptors::explained(|| iox::node(&config))?;
        clean_up_at_exit();
        let (node, process) = (ManuallyDrop::new(node), Process::current());
        Ok(Arc::new(Self { inner: node, config, life, process, peer_died: false.into() }))
    }

    /// Makes a service (`create`), or opens the one that the other side has made.
    pub(crate) fn service(&self, name: &str, size: Size, create: bool) -> Result<Service, TransportError> {
        self.restore()?;
        iox::service(&self.inner, name, size, create)
    }

    /// Makes the life's directory again if it was cleaned away, for memory that is to be made in it.
    pub(crate) fn restore(&self) -> Result<(), TransportError> {
        self.life.restore()
    }

    /// The prefix of the life.
    pub(crate) fn prefix(&self) -> &str {
        self.life.prefix()
    }

    /// Whether the life's directory has not been cleaned away.
    pub(crate) fn is_there(&self) -> bool {
        self.life.is_there()
    }

    /// Cleans up after dead clients. Whether some could not be cleaned up yet.
    pub(crate) fn clean_dead_nodes(&self) -> bool {
        leftovers::clean_dead_nodes(&self.config)
    }

    /// Remembers that the other side died.
    pub(crate) fn peer_died(&self) {
        self.peer_died.store(true, Ordering::Relaxed);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A forked child must not touch what belongs to its parent.
        if !self.process.is_current() {
            return;
        }
        let gate = gate::enter();
        // SAFETY: dropped once, here, and not used after.
        unsafe { ManuallyDrop::drop(&mut self.inner) };
        drop(gate);
        let shared = self.life.end();
        reached("stop.life_removed");
        if shared && *self.peer_died.get_mut() {
            let prefix = self.life.prefix().to_owned();
            let retry = move || {
                for _ in 0..RETRIES {
                    thread::sleep(RETRY_AFTER);
                    if !life::bury(&prefix) {
                        break;
                    }
                }
            };
            // Should no thread be had, the next look of anybody cleans up.
            let _ = thread::Builder::new().name("pycrust-cleanup".into()).spawn(retry);
        }
    }
}

/// The lives that this process uses. A forked child has a list of its own: its parent's may have been locked at the fork.
static LIVES: PerProcess<Mutex<Vec<Weak<Node>>>> = PerProcess::new();

fn lives() -> MutexGuard<'static, Vec<Weak<Node>>> {
    LIVES.get().lock()
}

/// Call when this process is about to end without dropping everything: removes what it has in shared memory in every
/// life that no other process uses. It happens by itself at an ordinary exit, but not before `_exit`.
///
/// What stays otherwise is what somebody still looks at: a view that is never dropped, such as an array in a variable of
/// a module, keeps its node.
pub fn clean_up() {
    // Somebody may be stopped in the middle of a change; then whoever looks next cleans up.
    let Some(lives) = LIVES.get().try_lock() else { return };
    for node in lives.iter().filter_map(Weak::upgrade) {
        // What this process has mapped stays mapped, and nobody else needs the names.
        node.life.end();
    }
}

/// Has [`clean_up`] called at an ordinary exit.
fn clean_up_at_exit() {
    extern "C" fn at_exit() {
        clean_up();
    }
    // Not a `Once`, which a fork at this moment would leave taken in the child.
    static ADDED: AtomicBool = AtomicBool::new(false);
    if !ADDED.swap(true, Ordering::AcqRel) {
        // SAFETY: it only adds the function to a list; the function needs nothing that ends before the process does.
        let _ = unsafe { libc::atexit(at_exit) };
    }
}
