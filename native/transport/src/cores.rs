//! Which core a thread runs on, and which it leaves to another one.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The one that the calling thread runs on, counted from 1; it may be another one at once. 0 for one with a number
/// that a frame has no room for.
pub fn current_core() -> u16 {
    u16::try_from(sched_getcpu() + 1).unwrap_or(0)
}

/// Keeps the calling thread off a core, until it is dropped: then the thread may run where it could before.
///
/// A thread that waits for another one's call must not wake or poll where that one runs: on virtual machines the kernel often
/// leaves both on one core beside an idle one.
#[derive(Debug)]
pub struct Elsewhere {
    allowed: CpuSet,
}

impl Elsewhere {
    /// Off this core, counted from 1; `None` if there is none to leave, or no other one.
    pub fn than(core: u16) -> Option<Self> {
        let allowed = if core > 0 { sched_getaffinity(None).ok()? } else { return None };
        let core = usize::from(core) - 1;
        let mut others: CpuSet = allowed;
        if core >= CpuSet::MAX_CPU || !allowed.is_set(core) {
            return None;
        }
        others.unset(core);
        (others.count() > 0 && sched_setaffinity(None, &others).is_ok()).then_some(Self { allowed })
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It fails if all of these were taken from the process meanwhile; then the kernel has given it others.
        let _ = sched_setaffinity(None, &self.allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_elsewhere_for_a_while_and_may_run_where_it_could() {
        let allowed = sched_getaffinity(None).expect("an affinity");
        let core = current_core();
        match Elsewhere::than(core) {
            Some(elsewhere) => {
                assert_ne!(current_core(), core);
                assert_eq!(sched_getaffinity(None).expect("an affinity").count(), allowed.count() - 1);
                drop(elsewhere);
            }
            None => assert_eq!(allowed.count(), 1),
        }
        assert_eq!(sched_getaffinity(None).expect("an affinity"), allowed);
    }

    #[test]
    fn there_is_no_elsewhere_without_another_core_and_for_no_core() {
        std::thread::spawn(|| {
            let mut only = CpuSet::new();
            only.set(usize::from(current_core()) - 1);
            sched_setaffinity(None, &only).expect("a core of its own");
            assert!(Elsewhere::than(current_core()).is_none());
            assert_eq!(sched_getaffinity(None).expect("an affinity"), only);
        })
        .join()
        .expect("no panic");
        assert!(Elsewhere::than(0).is_none());
        assert!(Elsewhere::than(u16::MAX).is_none());
    }
}
