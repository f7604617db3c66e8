//! Memory that stays where it is.

use std::ptr::null_mut;

use rustix::mm::{
    MapFlags, MlockAllFlags, MlockFlags, ProtFlags, mlock_with, mlockall, mmap_anonymous, munlockall, munmap,
};
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};

use crate::process::{PerProcess, Process};
use crate::realtime::missing;
use crate::sync::Mutex;

/// A forked child has none of its parent's locks on memory, and counts anew.
static STATE: PerProcess<Mutex<State>> = PerProcess::new();

#[derive(Default)]
struct State {
    /// Those who want it locked.
    wanted: usize,
    /// Whether nobody else had locked any: what others have locked is not to be unlocked with the rest.
    ours: bool,
}

/// The process's memory is locked while there is one of these.
#[derive(Debug)]
pub struct LockedMemory {
    process: Process,
}

/// Locks what this process has and will have, as it is touched; or says in a line why not.
///
/// Not at once: stacks of threads, of which each has 8 MiB and more, and what allocators hold in reserve would be filled
/// with pages that nobody asks for, and a container ended for lack of memory.
pub(super) fn lock() -> Result<LockedMemory, String> {
    let mut state = STATE.get().lock();
    if state.wanted == 0 {
        if let Some(limit) = getrlimit(Resource::Memlock).current
            && limited(limit)
        {
            // What is mapped later would count, too, and be refused past the limit: no allocation could be relied on.
            return Err(missing::memory(limit));
        }
        let ours = locked_kib() == 0;
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
            .map_err(|error| missing::memory_refused(&error.into()))?;
        state.ours = ours;
    }
    state.wanted += 1;
    Ok(LockedMemory { process: Process::current() })
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return;
        }
        let mut state = STATE.get().lock();
        state.wanted -= 1;
        if state.wanted == 0 && state.ours {
            let _ = munlockall();
        }
    }
}

/// Whether a limit holds for this process: whoever may exceed it locks one page more than it allows. Asked of the kernel,
/// since a capability that is one of a container's own namespace only looks as if it counted.
fn limited(limit: u64) -> bool {
    let Ok(limit) = usize::try_from(limit) else { return false };
    let Some(len) = limit.checked_next_multiple_of(page_size()).and_then(|len| len.checked_add(page_size()))
    else {
        return false;
    };
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a mapping of the kernel's choice, which nobody else has.
    let Ok(start) = (unsafe { mmap_anonymous(null_mut(), len, ProtFlags::empty(), flags) }) else {
        // More than there are addresses.
        return false;
    };
    // SAFETY: of that mapping, none of whose pages is there or comes by it.
    let limited = unsafe { mlock_with(start, len, MlockFlags::ONFAULT) }.is_err();
    // SAFETY: made above, and used by nobody.
    let _ = unsafe { munmap(start, len) };
    limited
}

/// KiB that this process has locked.
fn locked_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    locked.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
