//! Steps of a call at which a test ends, stops or delays this process. They are compiled in with the feature
//! `fault-points`, which no wheel has; without it a step is nothing.
//!
//! `PYCRUST_FAULT_POINT=frame.sent@17=kill` ends the process the 17th time that it comes by that step. `kill` is SIGKILL,
//! `term` SIGTERM, `stop` SIGSTOP, `abort` what an allocation that fails does, and `pause` waits 20 ms. Before that it
//! says so on its standard error, with the moment on `CLOCK_MONOTONIC` in nanoseconds.

/// This process is at the step `point`.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
#[allow(clippy::inline_always, reason = "it is nothing at all")]
pub fn reached(_point: &'static str) {}

#[cfg(feature = "fault-points")]
pub use armed::reached;

#[cfg(feature = "fault-points")]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use crate::clock::monotonic_ns;

    /// What is to happen, and where.
    struct Fault {
        point: String,
        /// Times that the process comes by before it happens.
        left: AtomicU64,
        action: String,
    }

    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

    /// This process is at the step `point`.
    pub fn reached(point: &'static str) {
        let Some(fault) = FAULT.get_or_init(wanted) else { return };
        if fault.point == point && fault.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let line = format!("fault point: {point} {} at {}\n", fault.action, monotonic_ns());
            // One write; a controller that does not read it sees what happens.
            let _ = std::io::stderr().write_all(line.as_bytes());
            happen(&fault.action);
        }
    }

    /// What the environment asks for.
    fn wanted() -> Option<Fault> {
        let text = std::env::var("PYCRUST_FAULT_POINT").ok()?;
        let fault = text.split_once('@').and_then(|(point, rest)| {
            let (times, action) = rest.split_once('=')?;
            let left = AtomicU64::new(times.parse().ok().filter(|times| *times > 0)?);
            Some(Fault { point: point.into(), left, action: action.into() })
        });
        if fault.is_none() {
            log::error!("PYCRUST_FAULT_POINT is {text:?} and not POINT@TIMES=ACTION: nothing will happen");
        }
        fault
    }

    fn happen(action: &str) {
        let signal = match action {
            "kill" => Signal::KILL,
            "term" => Signal::TERM,
            "stop" => Signal::STOP,
            "abort" => std::process::abort(),
            "pause" => return std::thread::sleep(Duration::from_millis(20)),
            other => return log::error!("{other:?} is nothing that a fault point does"),
        };
        // It is this process's own, which may always signal itself.
        let _ = kill_process(getpid(), signal);
    }
}
