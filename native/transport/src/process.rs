//! Which process this is: what the parent of a forked child has in shared memory is not the child's.
//!
//! A child that sends, receives or cleans up with what it inherited does so in its parent's name.

use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use crate::fork;
use crate::gate;
use crate::pinning;

/// Forks between the first process of this program and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Tells a process from its parents, as its number does not: two in different namespaces may have the same one. Asking
/// takes no system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This one.
    pub fn current() -> Self {
        watch_forks();
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is the process that runs now, and not a parent's.
    #[inline]
    pub fn is_current(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}

/// Has [`in_child`] called in every forked child from now on, and forks wait for what they must not cut in two.
fn watch_forks() {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if WATCHED.load(Ordering::Acquire) {
        return;
    }
    // Two threads may come here at once: being called twice does no harm, and a `Once` that is busy at a fork stays so.
    // SAFETY: the handlers make system calls and change atomics, nothing that a forked child may not do.
    let watched = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } == 0;
    WATCHED.store(watched, Ordering::Release);
}

/// The last that a process runs before it forks.
extern "C" fn before() {
    gate::close();
}

/// The first that it runs after.
extern "C" fn in_parent() {
    gate::open();
}

/// The first that a forked child runs.
extern "C" fn in_child() {
    gate::open();
    FORKS.fetch_add(1, Ordering::Relaxed);
    fork::let_go();
    pinning::forked();
}

/// What belongs to the process that made it. A forked child, which has a copy, does not drop it: that would be done in
/// the parent's name, or wait for a lock that a thread of the parent's had at the fork.
#[derive(Debug, Clone)]
pub struct ProcessLocal<T> {
    value: ManuallyDrop<T>,
    process: Process,
}

impl<T> ProcessLocal<T> {
    /// Belongs to this process.
    pub fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), process: Process::current() }
    }

    /// Whether this is the process that made it; in any other one it is not to be used.
    #[inline]
    pub fn is_here(&self) -> bool {
        self.process.is_current()
    }
}

impl<T> Deref for ProcessLocal<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for ProcessLocal<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for ProcessLocal<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// A value of which every process has its own, made when it is first asked for: a forked child starts with a new one, in
/// whatever state its parent's was at the fork.
#[derive(Debug, Default)]
pub struct PerProcess<T>(AtomicPtr<(Process, T)>);

// SAFETY: it owns a `T`, of which it gives shared references.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for PerProcess<T> {}

impl<T: Default> PerProcess<T> {
    /// This process's.
    pub fn get(&self) -> &T {
        self.get_or_init(T::default)
    }
}

impl<T> PerProcess<T> {
    /// Not made yet.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's, made by `make` if need be: by several threads at once, perhaps, of which one's stays. So nobody
    /// ever waits for it, as a forked child would for ever whose parent was just making it.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let Ok(value) = self.get_or_try_init(|| Ok::<T, Infallible>(make()));
        value
    }

    /// The same of what may fail, which is not remembered.
    pub(crate) fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let known = self.0.load(Ordering::Acquire);
        // SAFETY: null or made below; freed with `self`, which is borrowed.
        if let Some((process, value)) = unsafe { known.as_ref() }
            && process.is_current()
        {
            return Ok(value);
        }
        // The parent's stays where it is: it may be in use, as far as the child can tell.
        let made = Box::into_raw(Box::new((Process::current(), make()?)));
        Ok(match self.0.compare_exchange(known, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just made; freed as above.
            Ok(_) => unsafe { &(*made).1 },
            Err(theirs) => {
                // SAFETY: nobody else has it.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: another thread of this process has just made it; freed as above.
                unsafe { &(*theirs).1 }
            }
        })
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let made = *self.0.get_mut();
        // SAFETY: null or made by `get`, and freed once, here.
        if unsafe { made.as_ref() }.is_some_and(|(process, _)| process.is_current()) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_process_keeps_its_own() {
        static COUNT: PerProcess<AtomicU32> = PerProcess::new();
        COUNT.get().fetch_add(1, Ordering::Relaxed);
        assert_eq!(COUNT.get().fetch_add(1, Ordering::Relaxed), 1);
        let value = Arc::new(());
        let local = ProcessLocal::new(Arc::clone(&value));
        assert!(local.is_here());
        drop(local);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
