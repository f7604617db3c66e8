//! Which processor a thread runs on.

/// The one that the calling thread runs on, counted from 1; it may be another one at once. 0 for one with a number
/// that a frame has no room for.
pub fn current_core() -> u16 {
    u16::try_from(rustix::thread::sched_getcpu() + 1).unwrap_or(0)
}
