//! How a caller waits: all that differs between a client on Tokio and one without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_transport::monotonic_ns;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::driver;
use crate::error::Error;
use crate::session::Session;
use crate::spin::Making;

/// How a caller waits. Times are of `CLOCK_MONOTONIC`, in nanoseconds; none is no limit.
pub(crate) trait Waiting: Send + Sync + 'static {
    /// Whether a call can be made from here at all.
    fn check(&self, method: &str) -> Result<(), Error>;

    /// Sees to it that what comes on a connection is received, and that senders learn of room, while one waits.
    fn attend(&self, session: &Arc<Session>) -> io::Result<()>;

    /// Whether a call may poll for its answer.
    fn may_poll(&self, alone: bool, making: &Making) -> bool;

    /// What `future` gives; `None` if it is not ready when the time is over.
    fn until<F: Future<Output: Send> + Send>(
        &self,
        expires_ns: Option<u64>,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Does what may block, and waits for it; or says why it can't be had.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, String>> + Send;

    /// Makes a connection: calls `work`, which blocks, with what a new connection needs. Does not wait for it.
    fn connect(&self, work: impl FnOnce(Prepare) + Send + 'static);

    /// Lets time pass.
    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let over_ns = monotonic_ns().saturating_add(time.as_nanos() as u64);
        async move {
            self.until(Some(over_ns), std::future::pending::<()>()).await;
        }
    }
}

/// What a new connection needs before its first call.
pub(crate) type Prepare = fn(&Arc<Session>) -> io::Result<()>;

/// On a Tokio runtime, whose threads are not blocked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokio;

impl Waiting for Tokio {
    fn check(&self, method: &str) -> Result<(), Error> {
        if Handle::try_current().is_ok() {
            return Ok(());
        }
        let reason = "there is no Tokio runtime here: call from a task, or from block_on of one";
        Err(Error::of_call(Code::FailedPrecondition, method, reason))
    }

    fn attend(&self, session: &Arc<Session>) -> io::Result<()> {
        driver::ensure(session)
    }

    fn may_poll(&self, alone: bool, making: &Making) -> bool {
        alone && making.are_few()
    }

    async fn until<F: Future<Output: Send> + Send>(
        &self,
        expires_ns: Option<u64>,
        future: F,
    ) -> Option<F::Output> {
        match expires_ns {
            Some(at) => timeout_at(instant(at), future).await.ok(),
            None => Some(future.await),
        }
    }

    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
    }

    fn connect(&self, work: impl FnOnce(Prepare) + Send + 'static) {
        tokio::task::spawn_blocking(move || work(driver::ensure));
    }
}

/// A time of `CLOCK_MONOTONIC` for Tokio's timers.
pub(crate) fn instant(at_ns: u64) -> Instant {
    Instant::now() + Duration::from_nanos(at_ns.saturating_sub(monotonic_ns()))
}
