//! The control thread's handle and what it tells the engine.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use pycrust_protocol::limits::MAX_IN_FLIGHT;

use crate::connection::established::Connection;
use crate::error::TransportError;
use crate::fork::Guarded;
use crate::handshake::claim::Claim;
use crate::handshake::control_thread::ControlThread;
use crate::process::Process;
use crate::sleeping::wakeup;
use crate::sync::Mutex;

/// What the worker grants each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls that a connection may have in flight, at most 65,536.
    pub max_in_flight: u32,
}

/// What the control thread tells the engine. It is called on that thread and must not block.
pub trait AcceptorEvents<L>: Send + Sync {
    /// A client is connected: its frames can be received from now on.
    fn connected(&self, link: Arc<L>);

    /// A client is gone, for a person to read why. What it had published can still be received; drop the
    /// link afterwards. Called once for each connected link, also at [`Acceptor::stop`].
    fn disconnected(&self, connection: u64, reason: &str);

    /// Something happened that whoever runs the worker should know, in words.
    fn noticed(&self, what: &str) {
        log::warn!("{what}");
    }

    /// The process `pid` of this user is about to serve the name, and this worker has said that it may.
    fn name_asked_for(&self, _pid: u32) {}

    /// Another worker serves the name by now: this one has let go of everyone, and its thread ends.
    fn name_lost(&self, _reason: &str) {}

    /// About once a second.
    fn tick(&self) {}
}

/// The control thread of one worker.
#[derive(Debug)]
pub struct Acceptor {
    /// Tells the thread to stop, and wakes it.
    stop: Arc<Stop>,
    /// The thread, until it is joined.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process that started it.
    process: Process,
}

/// How the control thread is stopped.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Set before the wake-up.
    pub(crate) wanted: AtomicBool,
    /// Wakes the thread.
    pub(crate) wake: Guarded,
}

impl Stop {
    /// Should the thread stop?
    pub(crate) fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }
}

impl Acceptor {
    /// Starts the control thread, `pycrust-control`.
    ///
    /// # Errors
    /// [`TransportError`] if the thread or the shared memory can't be had.
    pub fn start(
        claim: Claim,
        limits: Limits,
        events: Arc<dyn AcceptorEvents<Connection>>,
    ) -> Result<Self, TransportError> {
        let system = |error| TransportError::system("start the control thread", error);
        let wake = wakeup::create().map_err(system)?.into();
        let stop = Arc::new(Stop { wanted: AtomicBool::new(false), wake });
        let max_in_flight = limits.max_in_flight.clamp(1, MAX_IN_FLIGHT as u32);
        let control = ControlThread::new(claim, max_in_flight, events, Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("pycrust-control".into())
            .spawn(move || control.run())
            .map_err(system)?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)), process: Process::current() })
    }

    /// Says goodbye to the clients, ends the thread and removes socket, lock and shared memory. Calling it
    /// again does nothing.
    ///
    /// Shared memory of connections that someone still holds goes when the last of them is dropped.
    pub fn stop(&self) {
        // The thread lives in the parent of a forked child.
        if !self.process.is_current() {
            return;
        }
        self.stop.wanted.store(true, Ordering::Release);
        wakeup::wake(self.stop.wake.as_fd());
        let mut thread = self.thread.lock();
        // An event handler that stops the acceptor runs on the very thread.
        if thread.as_ref().is_some_and(|handle| handle.thread().id() == thread::current().id()) {
            return;
        }
        if let Some(handle) = thread.take()
            && handle.join().is_err()
        {
            log::error!("the control thread panicked");
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stop();
    }
}
