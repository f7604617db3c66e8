//! How a thread waits that runs nothing else: it polls, sleeps and receives itself.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Waiter, monotonic_ns};
use tokio::task::unconstrained;

use crate::connection::connector::UnderWay;
use crate::connection::driver;
use crate::connection::session::Session;
use crate::connection::waiting::{NotDone, Waiting};
use crate::error::Error;
use crate::spin::Making;

/// Time between two looks at what no descriptor announces.
const TICK: Duration = Duration::from_millis(50);

/// Waits for one thing at a time.
#[derive(Default)]
pub(crate) struct Thread {
    /// Rings when the worker does or hangs up, and when another thread has received what this one waits for. Made
    /// before the first call, since it needs descriptors.
    bell: OnceLock<Bell>,
    /// The connection whose descriptors ring it.
    attended: Mutex<Option<Arc<Session>>>,
    /// When the first of the waits is over that this one is part of; 0 is never.
    limit_ns: AtomicU64,
}

/// Puts a limit back, also when what was waited for panics.
struct Within<'a>(&'a AtomicU64, u64);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.store(self.1, Ordering::Relaxed);
    }
}

struct Bell {
    waiter: Arc<Ringing>,
    waker: Waker,
}

struct Ringing(Waiter);

impl Wake for Ringing {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

impl Thread {
    fn bell(&self) -> io::Result<&Bell> {
        if let Some(bell) = self.bell.get() {
            return Ok(bell);
        }
        let waiter = Arc::new(Ringing(Waiter::new()?));
        Ok(self.bell.get_or_init(|| Bell { waker: Waker::from(Arc::clone(&waiter)), waiter }))
    }

    fn waker(&self) -> &Waker {
        self.bell().map_or(Waker::noop(), |bell| &bell.waker)
    }

    /// What `future` gives.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        self.block_within(|cx| (future.as_mut().poll(cx), None))
    }

    /// What `poll` gives, which also tells until when to sleep if nothing comes.
    pub(crate) fn block_within<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> (Poll<T>, Option<u64>),
    ) -> T {
        let blocked = poll_fn(|cx| {
            loop {
                match poll(cx) {
                    (Poll::Pending, limit_ns) => self.sleep(limit_ns),
                    (ready, _) => return ready,
                };
            }
        });
        // In a task of Tokio's, its budget would keep from being ready what has to be waited for here.
        let mut blocked = pin!(unconstrained(blocked));
        loop {
            if let Poll::Ready(output) = blocked.as_mut().poll(&mut Context::from_waker(self.waker())) {
                return output;
            }
        }
    }

    /// Lets go of the connection, so that it can be taken down.
    pub(crate) fn forget(&self) {
        if let (Some(session), Some(bell)) = (self.attended.lock().take(), self.bell.get()) {
            bell.waiter.0.remove(session.link.doorbell());
            bell.waiter.0.remove(session.link.hangup_fd());
        }
    }

    /// Sleeps until something may have come, receives it and looks at the connection. False once the time is over.
    fn sleep(&self, expires_ns: Option<u64>) -> bool {
        let left = expires_ns.map(|at| Duration::from_nanos(at.saturating_sub(monotonic_ns())));
        let attended = self.attended.lock().clone();
        if left.is_some_and(|left| left.is_zero()) {
            attended.inspect(|session| session.drain());
            return false;
        }
        let time = left.map_or(TICK, |left| left.min(TICK));
        match self.bell.get() {
            // Announced when the turn to receive was last given back: what is published from then on rings.
            Some(bell) => bell.waiter.0.wait(Some(time)),
            None => std::thread::sleep(time),
        }
        if let Some(session) = attended.filter(|session| !session.ended()) {
            if session.link.ready() {
                session.drain();
            } else {
                driver::look_at_control(&session);
            }
            session.room.notify_waiters();
        }
        true
    }
}

impl Waiting for Thread {
    fn check(&self, method: &str) -> Result<(), Error> {
        self.bell().map(drop).map_err(|error| {
            let reason = format!("no descriptors are left to wait for a connection with: {error}");
            Error::of_call(Code::ResourceExhausted, method, reason)
        })
    }

    fn attend(&self, session: &Arc<Session>) -> io::Result<()> {
        if self.attended.lock().as_ref().is_some_and(|attended| Arc::ptr_eq(attended, session)) {
            return Ok(());
        }
        self.forget();
        let waiter = &self.bell()?.waiter.0;
        waiter.add(session.link.doorbell(), 0)?;
        waiter.add(session.link.hangup_fd(), 1)?;
        *self.attended.lock() = Some(Arc::clone(session));
        Ok(())
    }

    fn may_poll(&self, _alone: bool, _making: &Making) -> bool {
        // It keeps nobody from running.
        true
    }

    async fn until<F: Future<Output: Send> + Send>(
        &self,
        expires_ns: Option<u64>,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let blocked = poll_fn(|_| {
            let cx = &mut Context::from_waker(self.waker());
            let outer_ns = self.limit_ns.load(Ordering::Relaxed);
            let first_ns = expires_ns.into_iter().chain(Some(outer_ns).filter(|at| *at > 0)).min();
            let _within = Within(&self.limit_ns, outer_ns);
            self.limit_ns.store(first_ns.unwrap_or_default(), Ordering::Relaxed);
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    break Poll::Ready(Some(output));
                }
                if !self.sleep(first_ns) {
                    // It may have come at the last moment.
                    let polled = future.as_mut().poll(cx).map(Some);
                    // The wait that this one is part of is over: whoever waits there finds out.
                    let ours = expires_ns == first_ns;
                    break if polled.is_pending() && ours { Poll::Ready(None) } else { polled };
                }
            }
        });
        blocked.await
    }

    async fn aside<T: Send + 'static>(
        &self,
        _expires_ns: Option<u64>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        Ok(work())
    }

    fn connect(&self, attempt: UnderWay, expires_ns: Option<u64>) {
        attempt.run_here(expires_ns);
    }
}
