//! Which core a thread runs on, and which it should leave to another one.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The one that the calling thread runs on, counted from 1; it may be another one at once. 0 for one with a number
/// that a frame has no room for.
pub fn current_core() -> u16 {
    u16::try_from(sched_getcpu() + 1).unwrap_or(0)
}

/// Moves the calling thread off a core, counted from 1, to any other one on which it may run; whether it moved. Where it may
/// run is the same after it as before.
///
/// A thread that polls for another one's call must not sit where that one wakes: on virtual machines the kernel often
/// leaves both on one core beside an idle one.
pub fn leave_core(core: u16) -> bool {
    if core == 0 || current_core() != core {
        return false;
    }
    let Ok(allowed) = sched_getaffinity(None) else { return false };
    let mut others: CpuSet = allowed;
    others.unset(usize::from(core) - 1);
    if others.count() == 0 || sched_setaffinity(None, &others).is_err() {
        return false;
    }
    // It fails if a core was taken from the process in between; then the kernel has done it already.
    let _ = sched_setaffinity(None, &allowed);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_leaves_a_core_and_may_run_where_it_could() {
        let allowed = sched_getaffinity(None).expect("an affinity");
        let core = current_core();
        assert!((1..=allowed.count() as u16 * 64).contains(&core));
        let moved = leave_core(core);
        assert_eq!(sched_getaffinity(None).expect("an affinity"), allowed);
        // It may have been moved before it was asked to.
        assert!(moved || allowed.count() == 1 || current_core() != core);
        assert!(!leave_core(0));
        assert!(!leave_core(u16::MAX));
    }

    #[test]
    fn a_thread_with_one_core_stays_there() {
        std::thread::spawn(|| {
            let core = current_core();
            let mut only = CpuSet::new();
            only.set(usize::from(core) - 1);
            sched_setaffinity(None, &only).expect("a core of its own");
            assert!(!leave_core(current_core()));
            assert_eq!(sched_getaffinity(None).expect("an affinity"), only);
        })
        .join()
        .expect("no panic");
    }
}
