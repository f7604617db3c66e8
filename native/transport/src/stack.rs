//! The stack of threads that run handlers.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};

/// Every thread's least: what Linux gives a main thread by default.
const LEAST: u64 = 8 << 20;
/// Where there is no limit, and the most: of all that a stack may use, addresses alone are taken at once.
const MOST: u64 = 256 << 20;

/// Bytes that are [touched](touch), at most: more than the calls of most handlers and loops go down.
const TOUCHED: usize = 512 << 10;
/// Bytes that are left alone at the end of a stack: somebody's guard may be there.
const LEFT: usize = 64 << 10;
/// Bytes that one step touches: no page is left out.
const STEP: usize = 2 << 10;

/// Bytes of stack for a thread that runs somebody's code: as many as the main thread may use. With the 2 MiB of a Rust
/// thread, a recursion that Python ends with an exception in a cell ends the process.
pub fn stack_size() -> usize {
    getrlimit(Resource::Stack).current.unwrap_or(MOST).clamp(LEAST, MOST) as usize
}

/// Has the next pages of the calling thread's stack there before they are needed.
pub(crate) fn touch() {
    let here = 0_u8;
    let room = ptr::from_ref(&here).addr().saturating_sub(end());
    go_down(room.saturating_sub(LEFT).min(TOUCHED));
}

/// Uses this much of the stack, or a little more.
#[inline(never)]
fn go_down(bytes: usize) {
    let mut room = [0_u8; STEP];
    black_box(&mut room);
    if let Some(rest) = bytes.checked_sub(2 * STEP) {
        go_down(rest);
    }
    // Still used, so that each step has room of its own.
    black_box(&mut room);
}

/// The lowest address of the calling thread's stack that may be used; the highest of all if nobody knows.
fn end() -> usize {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: it fills the attributes, or fails.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return usize::MAX;
    }
    let (mut start, mut size) = (ptr::null_mut(), 0);
    // SAFETY: filled above; both are written, or it fails.
    let known =
        unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size) } == 0;
    // SAFETY: filled above, and used no more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    if known { start.addr() + page_size() } else { usize::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_stack_is_not_gone_beyond() {
        for bytes in [64 << 10, 256 << 10, 2 << 20] {
            let small = std::thread::Builder::new().stack_size(bytes).spawn(|| {
                let here = 0_u8;
                let room = ptr::from_ref(&here).addr() - end();
                touch();
                room
            });
            let room = small.expect("a thread").join().expect("it goes no further than it may");
            assert!(room <= bytes, "{room} of {bytes}");
        }
    }
}
