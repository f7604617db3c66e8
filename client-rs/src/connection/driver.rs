//! The task that waits for the doorbell.
//!
//! A call that can't be answered inline sleeps; the driver on its runtime receives for it. A client that is
//! used on several runtimes has a driver on each: any of them receives for all, and one whose runtime is
//! shut down, or just isn't run at the moment, takes no call of another runtime with it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{ControlEvent, Descriptor, monotonic_ns};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Handle};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::connection::descriptor;
use crate::connection::session::{REPORT_PATIENCE, Session};
use crate::connection::threads::{self, Doing};
use crate::connection::timer::{self, Sleep};

/// Time between two looks at what no descriptor announces, while there are calls or reports.
const TICK: Duration = Duration::from_millis(50);

/// Shared memory for arrays that was not used for this long is given back.
const IDLE: Duration = Duration::from_secs(5);

/// The drivers of a session.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    running: Mutex<Vec<Entry>>,
    /// Whether a driver looks after calls and reports from tick to tick.
    ticking: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    runtime: runtime::Id,
    /// Wakes the driver; also what tells it from one that ran on an earlier runtime of the same id.
    nudge: Arc<Notify>,
    /// Known once the task is spawned.
    task: Option<AbortHandle>,
}

impl Drivers {
    /// Sees to it that calls and reports are looked after from tick to tick.
    pub(crate) fn keep_ticking(&self) {
        if !self.ticking.load(Ordering::Relaxed) && !self.ticking.swap(true, Ordering::AcqRel) {
            self.nudge();
        }
    }

    /// Wakes every driver.
    pub(crate) fn nudge(&self) {
        self.running.lock().iter().for_each(|entry| entry.nudge.notify_one());
    }

    /// Ends every driver.
    pub(crate) fn abort(&self) {
        self.running.lock().iter().filter_map(|entry| entry.task.as_ref()).for_each(AbortHandle::abort);
    }
}

/// Removes the driver from its session when its task ends, also by the end of its runtime.
struct Registration {
    session: Weak<Session>,
    nudge: Arc<Notify>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade()
            && session.is_here()
        {
            session.drivers.running.lock().retain(|entry| !Arc::ptr_eq(&entry.nudge, &self.nudge));
            // Whoever is left takes over the ticks.
            session.drivers.nudge();
        }
    }
}

/// Sees to it that a driver runs on the current runtime.
///
/// # Errors
/// The system's, if it has no descriptors left; that of a runtime without I/O, or of none.
pub(crate) fn ensure(session: &Arc<Session>) -> io::Result<()> {
    let runtime = Handle::try_current().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    let nudge = {
        let mut running = session.drivers.running.lock();
        if running.iter().any(|entry| entry.runtime == runtime.id()) {
            return Ok(());
        }
        let nudge = Arc::new(Notify::new());
        running.push(Entry { runtime: runtime.id(), nudge: Arc::clone(&nudge), task: None });
        nudge
    };
    let registration = Registration { session: Arc::downgrade(session), nudge: Arc::clone(&nudge) };
    let [bell, control] = session.link.descriptors();
    let sources = Sources {
        bell: descriptor::watch(&runtime, bell)?,
        control: descriptor::watch(&runtime, control)?,
        tick: Sleep::until(0),
    };
    // Not under the lock: a runtime that is shutting down drops the task here, and the registration with it.
    let task = runtime.spawn(drive(registration, sources)).abort_handle();
    let mut running = session.drivers.running.lock();
    if let Some(entry) = running.iter_mut().find(|entry| Arc::ptr_eq(&entry.nudge, &nudge)) {
        entry.task = Some(task);
    }
    Ok(())
}

/// What a driver waits for.
struct Sources {
    bell: AsyncFd<Descriptor>,
    control: AsyncFd<Descriptor>,
    tick: Sleep,
}

/// Why the driver woke.
enum Event {
    Doorbell,
    Control,
    Looked(ControlEvent),
    Nudge,
    Tick,
    RuntimeEnds,
}

async fn drive(registration: Registration, sources: Sources) {
    let Sources { bell, control, mut tick } = sources;
    let mut nudged = pin!(registration.nudge.notified());
    // A look at the control socket opens a bulk service if the worker offers one: it may take milliseconds.
    let mut look: Option<Doing<ControlEvent>> = None;
    loop {
        let ticking = {
            let Some(session) = registration.session.upgrade() else { return };
            session.drain();
            session.room.notify_one();
            if session.ended() || !session.is_here() {
                return;
            }
            look_after(&session)
        };
        if let Some(at) = ticking {
            tick.reset(at);
        }
        let event = poll_fn(|cx| {
            match bell.poll_read_ready(cx) {
                Poll::Ready(Ok(mut ready)) => {
                    // Never read: each ring is a new edge. Cleared before receiving, so that none is missed.
                    ready.clear_ready();
                    return Poll::Ready(Event::Doorbell);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Event::RuntimeEnds),
                Poll::Pending => {}
            }
            if let Some(task) = &mut look {
                let found = pin!(task.outcome()).poll(cx);
                if let Poll::Ready(found) = found {
                    look = None;
                    return Poll::Ready(Event::Looked(found.unwrap_or(ControlEvent::Nothing)));
                }
            } else if let Poll::Ready(Ok(mut ready)) = control.poll_read_ready(cx) {
                ready.clear_ready();
                return Poll::Ready(Event::Control);
            }
            if nudged.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Nudge);
            }
            if ticking.is_some() && Pin::new(&mut tick).poll(cx).is_ready() {
                return Poll::Ready(Event::Tick);
            }
            Poll::Pending
        })
        .await;
        match event {
            Event::Doorbell | Event::Tick => {}
            Event::Nudge => nudged.set(registration.nudge.notified()),
            Event::Control => {
                let Some(session) = registration.session.upgrade() else { return };
                let link = Arc::clone(&session.link);
                match threads::start(move || link.on_control()) {
                    Ok(looking) => look = Some(looking),
                    Err(_) => heed(&session, session.link.on_control()),
                }
            }
            Event::Looked(found) => {
                let Some(session) = registration.session.upgrade() else { return };
                heed(&session, found);
            }
            Event::RuntimeEnds => return,
        }
    }
}

/// Does what the control socket asks for.
fn heed(session: &Session, event: ControlEvent) {
    session.control_read.notify_waiters();
    let pid = session.link.welcome().pid;
    match event {
        ControlEvent::Nothing => {}
        ControlEvent::Goodbye(reason) => {
            let reason = format!("the worker (pid {pid}) said goodbye: {reason}");
            session.end_after_draining(Code::Unavailable, &reason);
        }
        ControlEvent::HungUp => gone(session),
    }
}

/// Looks at the control socket and for the worker's death, for a thread that waits itself; may take milliseconds.
pub(crate) fn look_at_control(session: &Session) {
    loop {
        let event = session.link.on_control();
        let more = matches!(event, ControlEvent::Goodbye(_));
        heed(session, event);
        if !more {
            break;
        }
    }
    if !session.ended() && session.link.peer_exited() {
        gone(session);
    }
}

/// The worker is gone without a word.
fn gone(session: &Session) {
    let pid = session.link.welcome().pid;
    session.end_after_draining(
        Code::Unavailable,
        &format!("the worker (pid {pid}) hung up: it ended or was killed"),
    );
}

/// Gives shared memory for arrays back once it is idle. When to look again, if there is some.
fn give_back(session: &Session) -> Option<u64> {
    // Nothing is idle for so long: this only asks.
    if !session.link.give_back(Duration::MAX) {
        return None;
    }
    let link = Arc::clone(&session.link);
    threads::later(move || {
        link.give_back(IDLE);
    });
    Some(timer::after(IDLE / 4))
}

/// Looks at what no descriptor announces. When to look again, if there is anything to look after.
fn look_after(session: &Session) -> Option<u64> {
    let work = || {
        let calls = session.calls.lock();
        (calls.in_flight() > 0, calls.reports_since())
    };
    let (mut waiting, mut reports) = work();
    if waiting && session.link.peer_exited() {
        // A child that the worker forked can hold its socket open after its death.
        gone(session);
        return None;
    }
    if let Some(since) = reports
        && Duration::from_nanos(monotonic_ns().saturating_sub(since)) >= REPORT_PATIENCE
    {
        session.flush_reports();
        (waiting, reports) = work();
    }
    if !waiting && reports.is_none() {
        // First the word, then another look: a call that begins in between sees to it itself or is seen here.
        session.drivers.ticking.swap(false, Ordering::AcqRel);
        (waiting, reports) = work();
        if !waiting && reports.is_none() {
            return give_back(session);
        }
        session.drivers.ticking.store(true, Ordering::Release);
    }
    Some(timer::after(TICK))
}
