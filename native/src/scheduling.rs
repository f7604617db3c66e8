//! What threads ask of the kernel's scheduler, so that calls are answered while a cell computes.
//!
//! Nobody gets more of the processor by any of this, only sooner or later (`docs/decisions/0012`).

use std::num::NonZeroU64;

use pycrust_transport::Scheduling;
use rustix::thread::Pid;

/// Nanoseconds of the processor at a time for a thread that serves: the least that the kernel grants.
const SHORT_SLICE_NS: u64 = 100_000;
/// The same for the thread that runs the cells, some ten times the usual.
const LONG_SLICE_NS: u64 = 30_000_000;
/// The kernel's own choice.
const USUAL_SLICE_NS: u64 = 0;

/// The calling thread sleeps to the point, and comes before threads that compute.
///
/// Linux prolongs timed waits by up to 50 µs, so that wake-ups fall together; the wait for the interpreter is one
/// of them. And a thread that wakes where another one computes waits until that one's slice ends, which is
/// looked at every 4 ms; one with a shorter slice comes first (Linux 6.12 or newer).
pub(crate) fn be_punctual() {
    // Where the kernel refuses, here and below, calls are later, not wrong.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    // What a handler starts is as usual.
    set_slice(None, SHORT_SLICE_NS, |now| now.reset_on_fork(true));
}

/// The main thread of the process, which runs the cells, lets whoever wakes come first; or no longer.
pub(crate) fn yield_to_others(enabled: bool) {
    let main = Pid::from_raw(std::process::id().cast_signed());
    set_slice(main, if enabled { LONG_SLICE_NS } else { USUAL_SLICE_NS }, |now| now);
}

/// Asks for slices of this length for a thread, the calling one by default.
fn set_slice(thread: Option<Pid>, slice_ns: u64, also: impl FnOnce(Scheduling) -> Scheduling) {
    // Where the user chose real time, nothing changes.
    if let Ok(now) = Scheduling::of(thread)
        && now.is_usual()
    {
        let _ = also(now).slice_ns(slice_ns).set(thread);
    }
}
