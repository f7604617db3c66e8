//! Where a client stands with its worker, for those who want to be told.

use tokio::sync::watch;

use crate::thread::Thread;

/// Where a client stands with its worker; see [`RpcClient::state`](crate::RpcClient::state).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// There is no connection; the next call makes one.
    Disconnected {
        /// Why the last one ended, or could not be made; empty before the first.
        reason: String,
    },
    /// A connection is being made. Attempts that follow a failed one are not told: it stays [`Disconnected`](Self::Disconnected) until one
    /// succeeds, or fails for another reason.
    Connecting,
    /// Calls go to this worker.
    Connected {
        /// Its process.
        pid: u32,
        /// Tells its life from any other's.
        generation: u64,
        /// Its number for the connection.
        connection: u64,
    },
    /// The client was closed.
    Closed,
}

/// Tells of every change of a client's [`ConnectionState`]; see
/// [`RpcClient::state_changes`](crate::RpcClient::state_changes).
#[derive(Debug, Clone)]
pub struct StateChanges(watch::Receiver<ConnectionState>);

impl StateChanges {
    /// The next state. Of changes that follow each other faster than this is awaited, the last one is told; `None`
    /// once the client is closed and that was told, or every clone of it is gone.
    pub async fn next(&mut self) -> Option<ConnectionState> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// The same, for a thread without Tokio: it blocks until then.
    pub fn wait(&mut self) -> Option<ConnectionState> {
        Thread::default().block_on(self.next())
    }
}

/// The state of a client and its clones.
#[derive(Debug)]
pub(crate) struct States(watch::Sender<ConnectionState>);

impl States {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(ConnectionState::Disconnected { reason: String::new() }))
    }

    pub(crate) fn now(&self) -> ConnectionState {
        self.0.borrow().clone()
    }

    pub(crate) fn changes(&self) -> StateChanges {
        StateChanges(self.0.subscribe())
    }

    pub(crate) fn set(&self, state: ConnectionState) {
        self.0.send_if_modified(|now| {
            let changes = *now != ConnectionState::Closed && *now != state;
            if changes {
                *now = state;
            }
            changes
        });
    }

    /// This connection has ended; whether a newer one was made meanwhile is seen here.
    pub(crate) fn ended(&self, generation: u64, connection: u64, reason: &str) {
        self.0.send_if_modified(|now| {
            let ours = matches!(now, ConnectionState::Connected { generation: of, connection: number, .. }
                if (*of, *number) == (generation, connection));
            if ours {
                *now = ConnectionState::Disconnected { reason: reason.into() };
            }
            ours
        });
    }
}
