//! Sends what the leader must not wait for.
//!
//! The first large frame of a connection waits for its peer to open the bulk service, for up to
//! seconds. A dispatch thread may wait with its own answer; the leader, which answers everybody's
//! calls to the worker itself, gives such a frame to this thread.

use std::sync::Arc;

use pycrust_transport::Link;
use pycrust_transport::sync::{Condvar, Mutex};

use crate::clients::client::Client;

/// The clients whose outboxes the sender is to empty.
pub(crate) struct Sender<L> {
    inner: Mutex<Inner<L>>,
    /// Tells the thread of an errand, or that it should end.
    changed: Condvar,
}

/// What the lock of [`Sender`] protects.
struct Inner<L> {
    /// The clients; each is in here once.
    errands: Vec<Arc<Client<L>>>,
    /// The life of the engine that the thread works for; it ends when this is another.
    life: u64,
}

impl<L: Link> Sender<L> {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::new(Inner { errands: Vec::new(), life: 0 }), changed: Condvar::new() }
    }

    /// Asks for a client's outbox to be emptied.
    pub(crate) fn call(&self, client: &Arc<Client<L>>) {
        let mut inner = self.inner.lock();
        if !inner.errands.iter().any(|known| Arc::ptr_eq(known, client)) {
            inner.errands.push(Arc::clone(client));
            self.changed.notify_one();
        }
    }

    /// Ends the thread of any earlier life; 0 ends every one.
    pub(crate) fn set_life(&self, life: u64) {
        let mut inner = self.inner.lock();
        inner.life = life;
        inner.errands.clear();
        self.changed.notify_all();
    }

    /// The next errand; `None` when the thread should end.
    fn next(&self, life: u64) -> Option<Arc<Client<L>>> {
        let mut inner = self.inner.lock();
        while inner.life == life {
            if let Some(client) = inner.errands.pop() {
                return Some(client);
            }
            inner = self.changed.wait(inner);
        }
        None
    }
}

/// The sender thread: `flush` sends what waits in a client's outbox, and says whether there is still somebody to work for.
pub(crate) fn run<L>(sender: &Sender<L>, life: u64, mut flush: impl FnMut(&Arc<Client<L>>) -> bool)
where
    L: Link,
{
    while let Some(client) = sender.next(life) {
        if !flush(&client) {
            return;
        }
    }
}
