//! Buffers that go round: encoding, sending and receiving small frames allocates nothing once warm.

use std::cell::RefCell;

/// Buffers that a thread keeps.
const KEPT: usize = 8;

/// Capacity past which a buffer is freed instead of kept.
const LARGEST_KEPT: usize = 64 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, warm if this thread has one.
pub(crate) fn take() -> Vec<u8> {
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

/// Gives a buffer to this thread for later.
pub(crate) fn give(mut buffer: Vec<u8>) {
    if (1..=LARGEST_KEPT).contains(&buffer.capacity()) {
        buffer.clear();
        // A thread that is ending has no place for it any more.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        });
    }
}
