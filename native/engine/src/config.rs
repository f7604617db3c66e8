//! What a worker may hold and how it waits.

use std::time::Duration;

/// What may be spent for one client on being awake before its calls, as a share of a core, where nobody says otherwise.
pub(crate) const ANTICIPATION: f64 = 0.02;

/// The bounds and policies of one engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// The endpoint's name, for answers and messages.
    pub endpoint: String,
    /// Tells this worker's life from any other's; [`Engine::set_generation`](crate::Engine::set_generation)
    /// sets it later, where it is known only once the name is claimed.
    pub generation: u64,
    /// Dispatch threads at most. One of them always leads, so one fewer run handlers at once; at
    /// least 2.
    pub max_threads: usize,
    /// Calls of one client that may be received and unanswered.
    pub max_in_flight_per_client: usize,
    /// Calls of all clients that may be received and unanswered.
    pub max_in_flight: usize,
    /// Bytes of arguments that may wait in queues. A single larger call is taken when nothing waits.
    pub max_queued_bytes: usize,
    /// Bytes of answers that may wait for clients that don't take them; past it, a client that has more than its share
    /// gets errors in their place. The bound leaves out errors, and answers of up to the share of each client.
    pub max_waiting_bytes: usize,
    /// How long the leader polls before it sleeps: `None` adapts to the traffic, zero never polls.
    pub spin: Option<Duration>,
    /// What may be spent for each client on being awake before its calls, where they have a rhythm: a share of a core; 0
    /// is nothing, and five times as much may be spent for all.
    pub anticipation: f64,
}

impl Config {
    /// The defaults for this endpoint.
    pub fn new(endpoint: impl Into<String>, generation: u64) -> Self {
        Self { endpoint: endpoint.into(), generation, ..Self::default() }
    }

    /// Handlers that may run at once: one thread is kept to lead.
    pub(crate) fn max_running(&self) -> usize {
        self.thread_limit() - 1
    }

    /// Dispatch threads at most, with the one that leads.
    pub(crate) fn thread_limit(&self) -> usize {
        self.max_threads.max(2)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            generation: 0,
            max_threads: 32,
            max_in_flight_per_client: 16_384,
            max_in_flight: 65_536,
            max_queued_bytes: 256 << 20,
            max_waiting_bytes: 1 << 30,
            spin: None,
            anticipation: ANTICIPATION,
        }
    }
}
