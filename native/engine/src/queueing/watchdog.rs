//! Takes the lead from a leader whose call turns out to be long.
//!
//! The leader runs short calls itself. While it does, nobody receives; so this thread looks every
//! 500 µs whether it is still at the same call, and if so promotes another one: a slow handler delays
//! a fast one by at most two ticks. The leader arms it before it waits for the interpreter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pycrust_transport::sync::{Condvar, Mutex};

/// Time between two looks.
const TICK: Duration = Duration::from_micros(500);
/// Ticks without a call after which it sleeps: 100 ms.
const IDLE_TICKS: u32 = 200;

/// The watchdog's bell.
pub(crate) struct Watchdog {
    /// It sleeps until the next call. Set before the last look at the lead, so that a leader that
    /// starts a call either is seen by that look or sees this.
    dormant: AtomicBool,
    /// The life of the engine that the thread works for; it ends when this is another.
    life: Mutex<u64>,
    changed: Condvar,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self { dormant: AtomicBool::new(false), life: Mutex::new(0), changed: Condvar::new() }
    }

    /// A leader runs a call from now on; call after the scheduler's lock, under which that was noted.
    pub(crate) fn arm(&self) {
        if self.dormant.load(Ordering::SeqCst) {
            let _life = self.life.lock();
            self.dormant.store(false, Ordering::SeqCst);
            self.changed.notify_all();
        }
    }

    /// Ends the thread of any earlier life; 0 ends every one.
    pub(crate) fn set_life(&self, life: u64) {
        *self.life.lock() = life;
        self.changed.notify_all();
    }

    /// Waits for the next look; `false` when the thread should end.
    fn tick(&self, life: u64) -> bool {
        let mut current = self.life.lock();
        if *current == life {
            current = if self.dormant.load(Ordering::SeqCst) {
                self.changed.wait(current)
            } else {
                self.changed.wait_for(current, TICK)
            };
        }
        *current == life
    }
}

/// The watchdog thread.
///
/// `look` promotes another thread if the leader is still at the call that was seen, and says what it saw; `None`
/// ends the thread.
pub(crate) fn run(watchdog: &Watchdog, life: u64, mut look: impl FnMut(&mut u64) -> Option<Seen>) {
    let (mut seen, mut idle) = (0, 0);
    while watchdog.tick(life) {
        if idle >= IDLE_TICKS {
            watchdog.dormant.store(true, Ordering::SeqCst);
        }
        match look(&mut seen) {
            Some(Seen::Calls) => {
                idle = 0;
                watchdog.dormant.store(false, Ordering::SeqCst);
            }
            Some(Seen::Nothing) => idle += 1,
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
