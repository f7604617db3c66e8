//! The stack of threads that run handlers.

use rustix::process::{Resource, getrlimit};

/// Every thread's least: what Linux gives a main thread by default.
const LEAST: u64 = 8 << 20;
/// Where there is no limit, and the most: of all that a stack may use, addresses alone are taken at once.
const MOST: u64 = 256 << 20;

/// Bytes of stack for a thread that runs somebody's code: as many as the main thread may use. With the 2 MiB of a Rust
/// thread, a recursion that Python ends with an exception in a cell ends the process.
pub fn stack_size() -> usize {
    getrlimit(Resource::Stack).current.unwrap_or(MOST).clamp(LEAST, MOST) as usize
}
