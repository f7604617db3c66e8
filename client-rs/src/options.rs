//! What a client is told, and what holds where nothing is said.

use std::path::PathBuf;
use std::time::Duration;

use pycrust_transport::RealTime;

use crate::spin::Spin;

/// Time limits from here on are none.
pub(crate) const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How structs are written, outermost and nested. Tuples are arrays in either case.
///
/// # Examples
/// ```
/// use pycrust_client::{Encoding, RpcClient};
///
/// let client = RpcClient::builder("calculator").encoding(Encoding::Array).connect_lazy();
/// # drop(client);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// As maps with the fields' names: bound by name, whatever their order.
    #[default]
    Map,
    /// As arrays of the fields' values: smaller by the names, and bound by the order of the fields alone. A struct that
    /// leaves a field out (`skip_serializing_if`) is written as a map, so that nothing behind it is shifted.
    ///
    /// One trap is left, of which neither side can know: a parameter, or a field of a handler's model, that is moved swaps
    /// the values of callers that were built before ([`Method::schema`](crate::Method::schema) tells). And serde does not
    /// read adjacently tagged enums back from arrays, as a handler that declares no types returns them.
    Array,
}

/// What a call does when as many calls are in flight as may be.
///
/// # Examples
/// ```
/// use pycrust_client::{RpcClient, WhenFull};
///
/// // A call that would be the ninth in flight waits for one of the others to end, within its own time.
/// let client = RpcClient::builder("calculator").max_in_flight(8).when_full(WhenFull::Wait).connect_lazy();
/// # drop(client);
/// ```
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
/// those that [wait for a worker](crate::Builder::wait_for_ready) look for one.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use pycrust_client::{Retry, RpcClient};
///
/// let retry = Retry::new().attempts(3).first_pause(Duration::from_millis(1));
/// let client = RpcClient::builder("calculator").retry(retry).connect_lazy();
/// # assert_eq!(retry.longest_pause, Duration::from_millis(200));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How often a call is made at most, the first time included, so at least 1; without limit by default.
    pub attempts: u32,
    /// The pause after the first failure, 5 ms by default; each further one is twice as long. What is waited is
    /// between half of it and all, by chance, so that many clients don't come back at once.
    pub first_pause: Duration,
    /// The longest pause, 200 ms by default.
    pub longest_pause: Duration,
}

impl Retry {
    /// What holds where nothing is said.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: u32::MAX,
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(200),
        }
    }

    /// The same with so many [attempts](Self::attempts).
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The same with this [first pause](Self::first_pause).
    #[must_use]
    pub const fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// The same with this [longest pause](Self::longest_pause).
    #[must_use]
    pub const fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

/// What a client expects of one method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pin<'a> {
    pub(crate) method: &'a str,
    /// 0 where the method has only to be there.
    pub(crate) built: u64,
    pub(crate) described: &'static str,
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
    /// What the calling thread is to be given.
    pub(crate) realtime: Option<RealTime>,
    /// Why it can't be.
    pub(crate) refused: Option<String>,
    /// What the worker has to have.
    pub(crate) pins: Vec<Pin<'static>>,
}

impl Options {
    /// Why no call could be made with these, if none could.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.max_in_flight == 0 {
            return Err("max_in_flight(0) allows no call at all: it is at least 1".into());
        }
        if self.retry.attempts == 0 {
            return Err(
                "retry: 0 attempts allow no call at all: the first one counts, so it is at least 1".into()
            );
        }
        if let Some(reason) = &self.refused {
            return Err(format!("realtime: {reason}"));
        }
        // The blocking client has taken it out: on Tokio, whichever thread is free makes the calls.
        if self.realtime.is_some() {
            return Err("realtime is given to a thread that makes its calls itself: connect_blocking(). For Tokio's, \
                        call RealTime::apply() on each, as of its Builder::on_thread_start"
                .into());
        }
        Ok(())
    }
}
