//! Which cores there are to choose from.

use std::fmt;

use rustix::process::getpid;
use rustix::thread::{CpuSet, Pid, sched_getaffinity};

use crate::process::PerProcess;
use crate::sync::Mutex;

/// Cores that the kernel gives to nobody who does not ask for them: they are in no process's mask.
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

/// What this process's threads were pinned from.
static PINNED: PerProcess<Mutex<Pinned>> = PerProcess::new();

#[derive(Default)]
struct Pinned {
    /// Threads that are pinned.
    threads: usize,
    /// What the process could use before the first of them was: its main thread may be one.
    before: Option<Cores>,
}

/// A set of cores.
#[derive(Clone, Copy)]
pub struct Cores(CpuSet);

impl Cores {
    /// Those that a thread may use, the calling one by default.
    pub(crate) fn of(thread: Option<Pid>) -> rustix::io::Result<Self> {
        sched_getaffinity(thread).map(Self)
    }

    /// Those that this process may use: its main thread's, without what was pinned here.
    pub fn of_process() -> Self {
        let pinned = PINNED.get().lock();
        pinned.before.filter(|_| pinned.threads > 0).unwrap_or_else(Self::of_main)
    }

    fn of_main() -> Self {
        // A main thread that has ended has none.
        Self::of(Some(getpid())).or_else(|_| Self::of(None)).unwrap_or(Self(CpuSet::new()))
    }

    /// Those that may be asked for.
    pub(crate) fn allowed() -> Self {
        let mut allowed = Self::of_process();
        let isolated = std::fs::read_to_string(ISOLATED).unwrap_or_default();
        parsed(&isolated).for_each(|core| allowed.add(core));
        allowed
    }

    /// These alone.
    pub(crate) fn only(cores: &[usize]) -> Self {
        let mut only = Self(CpuSet::new());
        for core in cores {
            only.add(*core);
        }
        only
    }

    fn add(&mut self, core: usize) {
        if core < CpuSet::MAX_CPU {
            self.0.set(core);
        }
    }

    /// Whether this one is among them.
    pub(crate) fn has(&self, core: usize) -> bool {
        core < CpuSet::MAX_CPU && self.0.is_set(core)
    }

    /// Their numbers.
    pub fn list(&self) -> Vec<usize> {
        (0..CpuSet::MAX_CPU).filter(|core| self.0.is_set(*core)).collect()
    }

    /// As the kernel takes it.
    pub(crate) fn mask(&self) -> &CpuSet {
        &self.0
    }

    /// A thread is about to be pinned.
    pub(crate) fn pin() {
        let mut pinned = PINNED.get().lock();
        if pinned.threads == 0 {
            pinned.before = Some(Self::of_main());
        }
        pinned.threads += 1;
    }

    /// It is no longer.
    pub(crate) fn unpin() {
        let mut pinned = PINNED.get().lock();
        pinned.threads = pinned.threads.saturating_sub(1);
    }
}

impl PartialEq for Cores {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Cores {}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, core) in self.list().into_iter().enumerate() {
            write!(f, "{}{core}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.list()).finish()
    }
}

/// The numbers of a list such as `2-4,7`.
fn parsed(list: &str) -> impl Iterator<Item = usize> {
    list.trim().split(',').filter_map(range).flatten()
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_and_written_as_the_kernel_does() {
        assert_eq!(parsed("2-4,7\n").collect::<Vec<_>>(), [2, 3, 4, 7]);
        assert_eq!(parsed("\n").count(), 0);
        assert_eq!(Cores::only(&[7, 2, 5000]).to_string(), "2, 7");
        assert!(!Cores::only(&[1]).has(5000));
    }
}
