//! How a client is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::RpcClient;
use crate::connection::spin::Spin;
use crate::error::Error;

/// How structs are written, outermost and nested. Tuples are arrays in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// As maps with the fields' names: bound by name, whatever their order.
    #[default]
    Map,
    /// As arrays of the fields' values: smaller by the names, and bound by the order of the fields alone.
    ///
    /// Two traps, of which neither side can know: a field that is left out (`skip_serializing_if`) shifts all those
    /// behind it, and a parameter, or a field of a handler's model, that is moved swaps the values of callers that
    /// were built before. And serde does not read adjacently tagged enums back from arrays, as a handler that declares
    /// no types returns them.
    Array,
}

/// What a call does when as many calls are in flight as may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It fails with `RESOURCE_EXHAUSTED` at once.
    #[default]
    Fail,
    /// It waits within its deadline.
    Wait,
}

/// How calls that are marked idempotent are made again, within their time, when the worker goes away; and how often
/// those that [wait for a worker](Builder::wait_for_ready) look for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a call is made at most, the first time included, so at least 1; without limit by default.
    pub attempts: u32,
    /// The pause after the first failure, 5 ms by default; each further one is twice as long. What is waited is
    /// between half of it and all, by chance, so that many clients don't come back at once.
    pub first_pause: Duration,
    /// The longest pause, 200 ms by default.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: u32::MAX,
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(200),
        }
    }
}

/// What a client was told.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) timeout: Duration,
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) client_name: String,
    pub(crate) max_in_flight: usize,
    pub(crate) spin: Spin,
    pub(crate) wait_for_worker: Duration,
    pub(crate) encoding: Encoding,
    pub(crate) when_full: WhenFull,
    pub(crate) retry: Retry,
    pub(crate) wait_for_ready: bool,
}

impl Options {
    /// Why no call could be made with these, if none could.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.max_in_flight == 0 {
            return Err("max_in_flight(0) allows no call at all: it is at least 1");
        }
        if self.retry.attempts == 0 {
            return Err("retry: 0 attempts allow no call at all: the first one counts, so it is at least 1");
        }
        Ok(())
    }
}

/// Makes a client that differs from the usual one; see [`RpcClient::builder`].
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// use pycrust_client::{Encoding, Error, RpcClient};
///
/// # async fn connect() -> Result<(), Error> {
/// let client = RpcClient::builder("calculator")
///     .timeout(Duration::from_millis(50))
///     .wait_for_worker(Duration::from_secs(10))
///     .encoding(Encoding::Array)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `connect`"]
pub struct Builder {
    name: String,
    options: Options,
}

impl Builder {
    pub(crate) fn new(name: &str) -> Self {
        let executable = std::env::current_exe().ok();
        let client_name = executable
            .as_deref()
            .and_then(Path::file_name)
            .map_or_else(|| "rust".into(), |name| name.to_string_lossy().into_owned());
        let options = Options {
            timeout: Duration::from_secs(30),
            runtime_dir: None,
            client_name,
            max_in_flight: pycrust_protocol::limits::MAX_IN_FLIGHT,
            spin: Spin::Adaptive,
            wait_for_worker: Duration::ZERO,
            encoding: Encoding::Map,
            when_full: WhenFull::Fail,
            retry: Retry::default(),
            wait_for_ready: false,
        };
        Self { name: name.into(), options }
    }

    /// The time that a call has unless it says otherwise; 30 s by default. [`Duration::MAX`] is no limit. Calls that
    /// stream have none unless they say so: see [`Request::timeout`](crate::Request::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Where workers are looked for; by default in `PYCRUST_RUNTIME_DIR`, or else in `/run/user/<uid>/pycrust` and
    /// `/tmp/pycrust-<uid>`.
    pub fn runtime_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.runtime_dir = Some(dir.into());
        self
    }

    /// What the worker's side calls this client; by default the executable's name.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.options.client_name = name.into();
        self
    }

    /// Calls in flight, at most, and at least 1; the worker may allow fewer.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.options.max_in_flight = calls;
        self
    }

    /// What a call does when as many are in flight as may be; by default it fails.
    pub fn when_full(mut self, choice: WhenFull) -> Self {
        self.options.when_full = choice;
        self
    }

    /// How idempotent calls are made again when the worker goes away, and the pauses of those that wait for one.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.retry = retry;
        self
    }

    /// Whether calls poll before they sleep; by default while it pays.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.options.spin = spin;
        self
    }

    /// How long [`connect`](Self::connect) waits for a worker to appear; by default it doesn't.
    pub fn wait_for_worker(mut self, patience: Duration) -> Self {
        self.options.wait_for_worker = patience;
        self
    }

    /// Whether calls wait, within their time, for a worker that can take them; by default they fail at once. See
    /// [`Request::wait_for_ready`](crate::Request::wait_for_ready). [`connect`](Self::connect) then waits, too, as long
    /// as a call may take.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.options.wait_for_ready = wait;
        self
    }

    /// How structs are written; by default as maps.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.options.encoding = encoding;
        self
    }

    /// A client that connects when its first call is made: there need be no worker yet. A name that no endpoint can have
    /// is found then, too.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn add() -> Result<(), pycrust_client::Error> {
    /// let client = pycrust_client::RpcClient::builder("calculator").wait_for_ready(true).connect_lazy();
    /// let sum: i32 = client.call("add", &(1, 2)).await?; // waits for the worker, 30 s at most
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_lazy(self) -> RpcClient {
        RpcClient::lazy(&self.name, self.options)
    }

    /// Like [`connect_lazy`](Self::connect_lazy), without Tokio: see [`blocking`](crate::blocking).
    pub fn connect_lazy_blocking(self) -> crate::blocking::RpcClient {
        crate::blocking::RpcClient::lazy(&self.name, self.options)
    }

    /// Connects without Tokio: see [`blocking`](crate::blocking).
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_blocking(self) -> Result<crate::blocking::RpcClient, Error> {
        crate::blocking::RpcClient::connect_with(&self.name, self.options)
    }

    /// Connects, and asks the worker through the data path whether it is there.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a name that no endpoint can have or options with which no call can be made, `UNAVAILABLE` if nobody serves it (the
    /// message says where was looked and which endpoints live there), `FAILED_PRECONDITION` if the runtime
    /// directory can't be trusted or the caller is in no Tokio runtime, or in one without I/O, or what the worker
    /// refused with.
    pub async fn connect(self) -> Result<RpcClient, Error> {
        RpcClient::connect_with(&self.name, self.options).await
    }
}
