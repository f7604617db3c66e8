//! Takes the lead from a leader whose call turns out to be long.
//!
//! The leader runs short calls itself. While it does, nobody receives; so this thread looks every
//! 500 µs whether it is still at the same call, and if so promotes another one: a slow handler delays
//! a fast one by at most two ticks. The leader arms it before it waits for the interpreter.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pycrust_transport::sync::Mutex;
use pycrust_transport::{Alarm, monotonic_ns};

/// Nanoseconds between two looks.
const TICK_NS: u64 = 500_000;
/// A time that does not come.
const NEVER_NS: u64 = i64::MAX as u64;

/// The watchdog's bell.
pub(crate) struct Watchdog {
    /// It sleeps until the next call. Set before the last look at the lead, so that a leader that
    /// starts a call either is seen by that look or sees this.
    dormant: AtomicBool,
    shift: Mutex<Shift>,
}

/// Whose watch it is.
#[derive(Default)]
struct Shift {
    /// The life of the engine that the thread works for; it ends when this is another.
    life: u64,
    /// What wakes that thread. A call that begins only sets it: nobody wakes for one that is over in time.
    alarm: Option<Arc<Alarm>>,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self { dormant: AtomicBool::new(false), shift: Mutex::default() }
    }

    /// A leader runs a call from now on; call after the scheduler's lock, under which that was noted.
    pub(crate) fn arm(&self) {
        if self.dormant.load(Ordering::SeqCst)
            && self.dormant.swap(false, Ordering::SeqCst)
            && let Some(alarm) = &self.shift.lock().alarm
        {
            alarm.set(monotonic_ns() + TICK_NS);
        }
    }

    /// Begins the watch of a life.
    pub(crate) fn begin(&self, life: u64) -> io::Result<()> {
        let alarm = Arc::new(Alarm::new()?);
        self.relieve(Shift { life, alarm: Some(alarm) });
        // Its first look is at once.
        self.dormant.store(true, Ordering::SeqCst);
        self.arm();
        Ok(())
    }

    /// Ends the thread of any life.
    pub(crate) fn end(&self) {
        self.relieve(Shift::default());
    }

    fn relieve(&self, next: Shift) {
        let last = std::mem::replace(&mut *self.shift.lock(), next);
        if let Some(alarm) = last.alarm {
            alarm.set(0);
        }
    }

    /// What wakes the thread of this life, while that is the engine's.
    fn alarm(&self, life: u64) -> Option<Arc<Alarm>> {
        let shift = self.shift.lock();
        if shift.life == life { shift.alarm.clone() } else { None }
    }
}

/// The watchdog thread.
///
/// `look` promotes another thread if the leader is still at the call that was seen, and says what it saw; `None`
/// ends the thread.
pub(crate) fn run(watchdog: &Watchdog, life: u64, mut look: impl FnMut(&mut u64) -> Option<Seen>) {
    let mut seen = 0;
    while let Some(alarm) = watchdog.alarm(life) {
        alarm.wait();
        // It would come again and again; before anybody may set it anew.
        alarm.set(NEVER_NS);
        if watchdog.alarm(life).is_none() {
            return;
        }
        watchdog.dormant.store(true, Ordering::SeqCst);
        match look(&mut seen) {
            Some(Seen::Calls) => {
                watchdog.dormant.store(false, Ordering::SeqCst);
                alarm.set(monotonic_ns() + TICK_NS);
            }
            Some(Seen::Nothing) => {}
            None => return,
        }
    }
}

/// What a look at the leader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It runs a call, or has run some since the last look.
    Calls,
    /// It runs none, and has run none.
    Nothing,
}
