//! A lock that its owner may take again. The standard library's is not stable yet; `lock_api` has all of it but for the
//! word that is locked, which is the standard library's algorithm on Linux.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};

use lock_api::{GetThreadId, GuardNoSend, RawMutex};
use rustix::thread::futex;

/// A lock that the thread that has it may take again.
pub(crate) type ReentrantMutex<T> = lock_api::ReentrantMutex<Word, ThreadAddress, T>;
/// It is locked.
pub(crate) type ReentrantMutexGuard<'a, T> = lock_api::ReentrantMutexGuard<'a, Word, ThreadAddress, T>;

/// Nobody has it.
const FREE: u32 = 0;
/// Somebody has it, and nobody waits.
const TAKEN: u32 = 1;
/// Somebody has it, and somebody may wait.
const AWAITED: u32 = 2;
/// Looks before it sleeps: what a port does with its lock takes less than a sleep.
const LOOKS: u32 = 100;

/// A lock in one word: the mutex that sleeps in the kernel of <https://www.akkadia.org/drepper/futex.pdf>, section 6.
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

impl Word {
    /// Waits for its turn.
    #[cold]
    fn lock_contended(&self) {
        let free = (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            self.0.load(Ordering::Relaxed) == FREE
        });
        if free && self.try_lock() {
            return;
        }
        // Whoever got it by waiting can't know whether others wait, so that it wakes one for nothing at worst.
        while self.0.swap(AWAITED, Ordering::Acquire) != FREE {
            // Woken, changed meanwhile or interrupted: it looks again.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, AWAITED, None);
        }
    }
}

// SAFETY: only who changes `FREE` into something else has the lock, until it makes it `FREE` again.
unsafe impl RawMutex for Word {
    type GuardMarker = GuardNoSend;

    #[allow(clippy::declare_interior_mutable_const, reason = "what `lock_api` makes a new lock of")]
    const INIT: Self = Self(AtomicU32::new(FREE));

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Ordering::Release) == AWAITED {
            let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
        }
    }
}

/// Tells threads from each other by the address of something that each has for itself.
#[derive(Debug)]
pub(crate) struct ThreadAddress;

// SAFETY: no two threads that live have the same address, and a thread that has ended holds no guard: guards are not `Send`.
unsafe impl GetThreadId for ThreadAddress {
    const INIT: Self = Self;

    #[inline]
    fn nonzero_thread_id(&self) -> NonZeroUsize {
        thread_local!(static PLACE: u8 = const { 0 });
        PLACE.with(|place| NonZeroUsize::from(std::ptr::NonNull::from(place).addr()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn its_owner_takes_it_again_and_others_wait() {
        const THREADS: u64 = 4;
        const TIMES: u64 = 20_000;
        let shared = Arc::new(ReentrantMutex::new(Cell::new(0)));
        let threads = [(); THREADS as usize].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for _ in 0..TIMES {
                    let outer = shared.lock();
                    let seen = outer.get();
                    let inner = shared.lock();
                    // Out of the order in which they were taken.
                    drop(outer);
                    inner.set(seen + 1);
                }
            })
        });
        for thread in threads {
            thread.join().expect("it counts");
        }
        assert_eq!(shared.lock().get(), THREADS * TIMES);
    }

    #[test]
    fn another_thread_does_not_have_it() {
        let shared = Arc::new(ReentrantMutex::new(()));
        let guard = shared.lock();
        let theirs = Arc::clone(&shared);
        let had = thread::spawn(move || theirs.try_lock().is_some());
        assert!(!had.join().expect("it looks"));
        assert!(shared.try_lock().is_some());
        drop(guard);
    }
}
