//! What threads ask of the kernel's scheduler, so that calls are answered while a cell computes.
//!
//! Nobody gets more of the processor by any of this, only sooner or later (`docs/decisions/0012`).

use std::num::NonZeroU64;

use rustix::thread::Pid;

/// Nanoseconds of the processor at a time for a thread that serves: the least that the kernel grants.
const SHORT_SLICE_NS: u64 = 100_000;
/// The same for the thread that runs the cells, some ten times the usual.
const LONG_SLICE_NS: u64 = 30_000_000;
/// The kernel's own choice.
const USUAL_SLICE_NS: u64 = 0;

/// `SCHED_FLAG_RESET_ON_FORK`: threads and processes that a handler starts are as usual.
const RESET_ON_FORK: u64 = 1;

/// What `sched_setattr` takes, in its first version.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// The calling thread sleeps to the point, and comes before threads that compute.
///
/// Linux prolongs timed waits by up to 50 µs, so that wake-ups fall together; the wait for the interpreter is one
/// of them. And a thread that wakes where another one computes waits until that one's slice ends, which is
/// looked at every 4 ms; one with a shorter slice comes first (Linux 6.12 or newer).
pub(crate) fn be_punctual() {
    // Where the kernel refuses, here and below, calls are later, not wrong.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    set_slice(None, SHORT_SLICE_NS, RESET_ON_FORK);
}

/// The main thread of the process, which runs the cells, lets whoever wakes come first; or no longer.
pub(crate) fn yield_to_others(enabled: bool) {
    let main = Pid::from_raw(std::process::id().cast_signed());
    set_slice(main, if enabled { LONG_SLICE_NS } else { USUAL_SLICE_NS }, 0);
}

/// Asks for slices of this length for a thread, the calling one by default.
fn set_slice(thread: Option<Pid>, slice_ns: u64, flags: u64) {
    let id = thread.map_or(0, Pid::as_raw_pid);
    // SAFETY: the call only reads.
    let policy = unsafe { libc::sched_getscheduler(id) };
    // Where the user chose real time, nothing changes.
    let (libc::SCHED_OTHER | libc::SCHED_BATCH, Ok(nice)) =
        (policy, rustix::process::getpriority_process(thread))
    else {
        return;
    };
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: policy.cast_unsigned(),
        flags,
        nice,
        runtime: slice_ns,
        ..Attributes::default()
    };
    // SAFETY: the call reads `size` bytes of a structure of this layout and changes nothing in this process's memory.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, id, &raw const attributes, 0) };
}
