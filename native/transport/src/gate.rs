//! What of iceoryx2 a fork must not cut in two. It keeps the nodes that a process has made or looks at in one map behind
//! one lock, for which a child would wait for ever whose parent's other thread had it at the fork.

use std::cell::Cell;

use crate::reentrant::Word;

/// Taken by whoever makes, drops or looks for nodes, and by whoever forks. Nobody who has it waits for anybody else.
static GATE: lock_api::Mutex<Word, ()> = lock_api::Mutex::new(());

thread_local! {
    /// How often the fork that is under way on this thread has been announced: once for each time that somebody asked
    /// to be told of forks.
    static FORKING: Cell<u32> = const { Cell::new(0) };
}

/// Keeps forks out until the guard is dropped.
pub(crate) fn enter() -> lock_api::MutexGuard<'static, Word, ()> {
    GATE.lock()
}

/// Before a fork, on the thread that forks: waits until nobody is inside.
pub(crate) fn close() {
    if FORKING.replace(FORKING.get() + 1) == 0 {
        std::mem::forget(GATE.lock());
    }
}

/// After a fork, on that thread of the parent and on its copy in the child.
pub(crate) fn open() {
    // Whoever asked while this thread was forking is told of its end only.
    let announced = FORKING.get();
    FORKING.set(announced.saturating_sub(1));
    if announced == 1 {
        // SAFETY: `close` has taken it on this thread, and forgotten the guard.
        unsafe { GATE.force_unlock() };
    }
}
