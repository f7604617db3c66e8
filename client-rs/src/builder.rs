//! How a client is set up.

use std::path::PathBuf;
use std::time::Duration;

use pycrust_protocol::limits::MAX_IN_FLIGHT;

use crate::client::RpcClient;
use crate::error::Error;
use crate::spin::Spin;

/// A call's time, where nothing else is said.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How structs are written. Handlers take both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// As arrays, by position: shorter, and what `rmp_serde` does by default.
    #[default]
    Array,
    /// As maps, by name: fields may be left out or come in another order.
    Map,
}

/// What a call does when as many calls as allowed are in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Fail at once with RESOURCE_EXHAUSTED.
    #[default]
    Fail,
    /// Wait for one to end, within the call's time.
    Wait,
}

/// Sets up an [`RpcClient`].
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// use pycrust_client::{RpcClient, Spin};
///
/// # async fn run() -> Result<(), pycrust_client::Error> {
/// let client = RpcClient::builder("policy")
///     .timeout(Duration::from_millis(50))
///     .spin(Spin::Off)
///     .wait_for_worker(Duration::from_secs(10))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder connects nothing before `connect`"]
pub struct Builder {
    pub(crate) endpoint: String,
    pub(crate) timeout: Duration,
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) client_name: String,
    pub(crate) max_in_flight: usize,
    pub(crate) spin: Spin,
    pub(crate) wait_for_worker: Duration,
    pub(crate) encoding: Encoding,
    pub(crate) when_full: WhenFull,
}

impl Builder {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.into(),
            timeout: DEFAULT_TIMEOUT,
            runtime_dir: None,
            client_name: executable(),
            max_in_flight: MAX_IN_FLIGHT,
            spin: Spin::default(),
            wait_for_worker: Duration::ZERO,
            encoding: Encoding::default(),
            when_full: WhenFull::default(),
        }
    }

    /// A call's time, where the call says nothing else: 30 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where workers are looked for, instead of `PYCRUST_RUNTIME_DIR` or `/tmp/pycrust-<uid>`.
    pub fn runtime_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.runtime_dir = Some(dir.into());
        self
    }

    /// What the worker's side shows as this client's name: the executable's by default.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = name.into();
        self
    }

    /// Calls that may be in flight at a time. The worker may allow fewer.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = calls;
        self
    }

    /// Whether a call polls for its answer before it sleeps.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// How long [`connect`](Self::connect) waits for a worker to appear; by default it fails at once.
    pub fn wait_for_worker(mut self, time: Duration) -> Self {
        self.wait_for_worker = time;
        self
    }

    /// How structs are written.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// What a call does when as many calls as allowed are in flight.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Connects, and asks the worker whether it is well.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a name that no endpoint can have; UNAVAILABLE if no worker serves it, with where
    /// it was looked for and which endpoints live there; the worker's refusal.
    ///
    /// # Panics
    /// Outside a Tokio runtime, and in one without its I/O and time drivers.
    pub async fn connect(self) -> Result<RpcClient, Error> {
        RpcClient::open(self).await
    }
}

/// The name of this program.
fn executable() -> String {
    std::env::current_exe()
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "client".into())
}
