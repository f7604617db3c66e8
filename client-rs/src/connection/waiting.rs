//! How a caller waits: all that differs between a client on Tokio and one without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::Code;
use tokio::runtime::Handle;

use crate::connection::connector::UnderWay;
use crate::connection::session::Session;
use crate::connection::{driver, threads, timer};
use crate::error::Error;
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

    /// Does what may take milliseconds, and waits for it until the time is over.
    fn aside<T: Send + 'static>(
        &self,
        expires_ns: Option<u64>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, NotDone>> + Send;

    /// Has a connection made, for which all of its callers then wait; this one no longer than until then.
    fn connect(&self, attempt: UnderWay, expires_ns: Option<u64>);

    /// Lets time pass.
    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let over_ns = timer::after(time);
        async move {
            self.until(Some(over_ns), std::future::pending::<()>()).await;
        }
    }
}

/// Why work aside has no outcome.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// There is no thread for it.
    NoThread(io::Error),
    /// It was not begun in time, and never will be.
    NotBegun,
    /// It was begun, and may be done yet.
    UnderWay,
    Panicked,
}

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
        timer::until(expires_ns, future).await
    }

    async fn aside<T: Send + 'static>(
        &self,
        expires_ns: Option<u64>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let mut doing = threads::start(work).map_err(NotDone::NoThread)?;
        match timer::until(expires_ns, doing.outcome()).await {
            Some(outcome) => outcome.ok_or(NotDone::Panicked),
            None if doing.give_up() => Err(NotDone::NotBegun),
            None => Err(NotDone::UnderWay),
        }
    }

    fn connect(&self, attempt: UnderWay, _expires_ns: Option<u64>) {
        attempt.start();
    }
}
