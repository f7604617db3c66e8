//! What the tests share: a connection in memory, a caller at its other end, and a binding without Python.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; a failed test panics")]

pub mod caller;
pub mod link;
pub mod rig;

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// How long a test waits before it calls the engine hung.
pub const HANG: Duration = Duration::from_secs(60);

/// Opened once; whoever waits goes on then.
#[derive(Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    pub fn pass(&self) {
        let open = self.open.lock().unwrap();
        let (open, _) = self.changed.wait_timeout_while(open, HANG, |open| !*open).unwrap();
        assert!(*open, "nobody opened the gate");
    }
}

/// Waits until `done`, for what has no event of its own.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed() < HANG, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
