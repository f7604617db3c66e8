//! The last comings and goings of clients, for whoever looks at the worker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use pycrust_protocol::reserved::Visit;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Peer, monotonic_ns};

/// How many are kept.
const KEPT: usize = 16;
/// Characters of a reason that are kept.
const REASON: usize = 400;

/// The last ones, the oldest first.
#[derive(Default)]
pub(crate) struct ConnectionLog {
    visits: Mutex<VecDeque<Visit>>,
    /// Clients that came, all of them.
    arrivals: AtomicU64,
}

impl ConnectionLog {
    pub(crate) fn came(&self, connection: u64, peer: &Peer) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.note(connection, peer, true, "");
    }

    pub(crate) fn went(&self, connection: u64, peer: &Peer, reason: &str) {
        self.note(connection, peer, false, reason);
    }

    /// Something that happened to the worker itself: nobody's connection.
    pub(crate) fn noticed(&self, what: &str) {
        self.note(0, &Peer { pid: std::process::id(), name: String::new() }, false, what);
    }

    pub(crate) fn all(&self) -> Vec<Visit> {
        self.visits.lock().iter().cloned().collect()
    }

    /// How many clients came since the worker began.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    fn note(&self, connection: u64, peer: &Peer, came: bool, reason: &str) {
        let visit = Visit {
            at_ns: monotonic_ns(),
            came,
            connection,
            pid: peer.pid,
            name: peer.name.clone(),
            reason: reason.chars().take(REASON).collect(),
        };
        let mut visits = self.visits.lock();
        if visits.len() == KEPT {
            visits.pop_front();
        }
        visits.push_back(visit);
    }
}
