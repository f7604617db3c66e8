//! Where a client stands with its worker, for those who want to be told.

use pycrust_transport::Process;
use tokio::sync::watch;

use crate::telemetry;

/// What is wrong with a client in a forked child.
pub(crate) const INHERITED: &str =
    "this client is its parent's: this process was forked from the one that made it; make a new one here";

/// Where a client stands with its worker; see [`RpcClient::state`](crate::RpcClient::state).
///
/// # Examples
/// ```
/// use pycrust_client::ConnectionState;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let usable = match client.state() {
///     ConnectionState::Connected { pid, .. } => pid == std::process::id(),
///     ConnectionState::Disconnected { reason } => reason.is_empty(), // the first call connects
///     _ => false,
/// };
/// assert!(usable);
/// client.close().await;
/// assert_eq!(client.state(), ConnectionState::Closed);
/// # }
/// # Ok(())
/// # }
/// ```
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
    #[non_exhaustive]
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

impl ConnectionState {
    /// Tells telemetry of it.
    pub(crate) fn report(&self, endpoint: &str) {
        match self {
            Self::Connected { pid, generation, connection } => {
                telemetry::connected(endpoint, *pid, *generation, *connection);
            }
            Self::Disconnected { reason } => telemetry::step(endpoint, "not connected", reason),
            Self::Connecting => telemetry::step(endpoint, "connecting", ""),
            Self::Closed => telemetry::step(endpoint, "closed", "the client was closed"),
        }
    }
}

/// Tells of every change of a client's [`ConnectionState`]; see
/// [`RpcClient::state_changes`](crate::RpcClient::state_changes).
///
/// # Examples
/// ```
/// use pycrust_client::ConnectionState;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let mut changes = client.state_changes();
/// let sum: i32 = client.call("add", &(10, 20)).await?;
/// client.close().await;
/// let mut last = None;
/// while let Some(state) = changes.next().await {
///     last = Some(state);
/// }
/// assert_eq!(last, Some(ConnectionState::Closed));
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StateChanges {
    states: watch::Receiver<ConnectionState>,
    /// The process that the client was made in.
    process: Process,
}

impl StateChanges {
    /// The next state. Of changes that follow each other faster than this is awaited, the last one is told; `None`
    /// once the client is closed and that was told, every clone of it is gone, or in a forked child.
    pub async fn next(&mut self) -> Option<ConnectionState> {
        if !self.process.is_current() {
            return None;
        }
        // Nothing follows it, though the client may live on.
        let told =
            *self.states.borrow() == ConnectionState::Closed && !self.states.has_changed().unwrap_or(true);
        if told {
            return None;
        }
        self.states.changed().await.ok()?;
        Some(self.states.borrow_and_update().clone())
    }
}

/// The state of a client and its clones.
#[derive(Debug)]
pub(crate) struct States {
    now: watch::Sender<ConnectionState>,
    /// Whose worker it is.
    pub(crate) endpoint: String,
    process: Process,
}

impl States {
    pub(crate) fn new(endpoint: &str) -> Self {
        let now = watch::Sender::new(ConnectionState::Disconnected { reason: String::new() });
        Self { now, endpoint: endpoint.into(), process: Process::current() }
    }

    pub(crate) fn now(&self) -> ConnectionState {
        if !self.process.is_current() {
            return ConnectionState::Disconnected { reason: INHERITED.into() };
        }
        self.now.borrow().clone()
    }

    pub(crate) fn changes(&self) -> StateChanges {
        StateChanges { states: self.now.subscribe(), process: self.process }
    }

    /// Whether that is another state than before.
    pub(crate) fn set(&self, state: ConnectionState) -> bool {
        self.now.send_if_modified(|now| {
            let changes = *now != ConnectionState::Closed && *now != state;
            if changes {
                *now = state;
            }
            changes
        })
    }

    /// This connection has ended: whether it was the last one that was told of. Whether a newer one was made meanwhile is
    /// seen here.
    pub(crate) fn ended(&self, generation: u64, connection: u64, reason: &str) -> bool {
        self.now.send_if_modified(|now| {
            let ours = matches!(now, ConnectionState::Connected { generation: of, connection: number, .. }
                if (*of, *number) == (generation, connection));
            if ours {
                *now = ConnectionState::Disconnected { reason: reason.into() };
            }
            ours
        })
    }
}
