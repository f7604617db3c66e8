//! How a client is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pycrust_transport::RealTime;

#[cfg(feature = "testing")]
use crate::connection::pipe::Door;
use crate::method::{Pinned, pins};
use crate::options::{Encoding, Options, Retry, WhenFull};
use crate::spin::Spin;

/// Makes a client that differs from the usual one; see [`RpcClient::builder`](crate::RpcClient::builder).
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
    pub(crate) name: String,
    pub(crate) options: Options,
    /// The worker of a test, in this process.
    #[cfg(feature = "testing")]
    pub(crate) inside: Option<Door>,
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
            realtime: None,
            refused: None,
            pins: Vec::new(),
        };
        Self {
            name: name.into(),
            options,
            #[cfg(feature = "testing")]
            inside: None,
        }
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

    /// What the thread that connects is given, for as long as there is the client: cores, a priority, memory that stays. It
    /// is for a thread that makes its calls itself, [`connect_blocking`](Self::connect_blocking); one that does not call,
    /// or Tokio's, has it from [`RealTime::apply`]. What can't be had is logged as a warning, and
    /// [`blocking::RpcClient::realtime`](crate::blocking::RpcClient::realtime) tells it.
    ///
    /// # Examples
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use pycrust_client::{Error, RealTime, RpcClient};
    ///
    /// # fn run() -> Result<(), Error> {
    /// let realtime = RealTime::new().cores([2]).priority(50).lock_memory(true);
    /// let mut client = RpcClient::builder("arm").realtime(realtime).connect_blocking()?;
    /// let torque: f64 = client.call_with_timeout("torque", &(0.1, 0.2), Duration::from_millis(1))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn realtime(mut self, realtime: RealTime) -> Self {
        self.options.realtime = Some(realtime);
        self
    }

    /// How structs are written; by default as maps.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.options.encoding = encoding;
        self
    }

    /// Methods that each worker must have, as they were built against, before any call is made on a connection to it:
    /// [`connect`](Self::connect) fails otherwise, and after a reconnection each call, with the error of
    /// [`RpcClient::check`](crate::RpcClient::check). A worker that is mended meanwhile is used: the next call looks again.
    /// Where calls [wait](Self::wait_for_ready), those wait for methods that are not there yet.
    ///
    /// A handler that is swapped while the connection lasts refuses the calls that are pinned to another schema.
    ///
    /// # Examples
    /// ```no_run
    /// use pycrust_client::{Error, Method, RpcClient};
    ///
    /// const ADD: Method<(i32, i32), i32> = Method::new("add").schema(0x5bd1_e995_7f4a_7c15);
    /// const PLACE: Method<str, u64> = Method::new("place");
    ///
    /// # async fn connect() -> Result<(), Error> {
    /// let client = RpcClient::builder("calculator").pin(&[&ADD, &PLACE]).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pin(mut self, methods: &[&dyn Pinned]) -> Self {
        self.options.pins.extend(pins(methods));
        self
    }
}
