//! What a forked child must let go of that its thread was given: the cores that it was pinned to.

use std::cell::Cell;

use rustix::thread::{CpuSet, sched_setaffinity};

thread_local! {
    /// The cores that this thread had before it was pinned.
    static BEFORE: Cell<Option<CpuSet>> = const { Cell::new(None) };
}

/// This thread is pinned, and had these before. Whether nobody had pinned it yet.
pub(crate) fn begin(before: CpuSet) -> bool {
    let first = BEFORE.get().is_none();
    if first {
        BEFORE.set(Some(before));
    }
    first
}

/// It is no longer.
pub(crate) fn end() {
    BEFORE.set(None);
}

/// In a forked child, whose thread is a copy of the one that forked: it may run where that one could. A priority and locks
/// on memory the kernel gives to no child.
pub(crate) fn forked() {
    if let Some(cores) = BEFORE.try_with(Cell::take).ok().flatten() {
        let _ = sched_setaffinity(None, &cores);
    }
}
