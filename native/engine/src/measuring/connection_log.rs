//! The last comings and goings of clients, for whoever looks at the worker.

use std::collections::VecDeque;

use pycrust_protocol::reserved::Visit;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Peer, monotonic_ns};

/// How many are kept.
const KEPT: usize = 16;
/// Characters of a reason that are kept.
const REASON: usize = 400;

/// The last ones, the oldest first.
#[derive(Default)]
pub(crate) struct ConnectionLog(Mutex<VecDeque<Visit>>);

impl ConnectionLog {
    pub(crate) fn came(&self, connection: u64, peer: &Peer) {
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
        self.0.lock().iter().cloned().collect()
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
        let mut visits = self.0.lock();
        if visits.len() == KEPT {
            visits.pop_front();
        }
        visits.push_back(visit);
    }
}
