//! The standard library's locks, which ignore poisoning.
//!
//! They are words that belong to nobody else: a fork copies a free one as free. `parking_lot`'s waiting threads are in one
//! table of the process, which a fork copies with threads that the child does not have (decision 17).
//!
//! A panic is caught where it may occur and ends one call or one client. What it was about to change is one call's or one
//! client's too, so that nothing is gained by letting everybody else fail as well.

use std::sync::{PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

pub use std::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// How often [`Mutex::try_lock_for`] looks: the standard library has no wait for a lock with an end.
const LOOK: Duration = Duration::from_millis(1);

/// [`std::sync::Mutex`], without poisoning.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if nobody has it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits for the lock up to `patience`, by looking now and then: for rare things only.
    pub fn try_lock_for(&self, patience: Duration) -> Option<MutexGuard<'_, T>> {
        let begun = Instant::now();
        loop {
            let guard = self.try_lock();
            if guard.is_some() || begun.elapsed() >= patience {
                return guard;
            }
            thread::sleep(LOOK);
        }
    }

    /// What it protects, of which there is no other user.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`std::sync::Condvar`] for a [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Lets go of the lock until it is told, or for no reason.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`wait`](Self::wait), but no longer than `patience`.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, patience: Duration) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, patience).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes one that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// [`std::sync::RwLock`], without poisoning.
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads or writes.
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Panics with the lock of `shared` in hand.
    fn poison<T: Send + Sync + 'static>(shared: &Arc<T>, take: impl FnOnce(&T) + Send + 'static) {
        let theirs = Arc::clone(shared);
        thread::spawn(move || take(&theirs)).join().expect_err("it panics");
    }

    #[test]
    fn a_panic_leaves_a_lock_usable() {
        let shared = Arc::new(Mutex::new(1));
        poison(&shared, |mutex| {
            let mut guard = mutex.lock();
            *guard = 2;
            panic!("with the lock");
        });
        assert_eq!(*shared.lock(), 2);
        assert_eq!(shared.try_lock().as_deref(), Some(&2));
        assert_eq!(*Condvar::new().wait_for(shared.lock(), Duration::ZERO), 2);

        let shared = Arc::new(RwLock::new(1));
        poison(&shared, |lock| {
            let _guard = lock.write();
            panic!("with the lock");
        });
        assert_eq!(*shared.read(), 1);
        assert_eq!(*shared.write(), 1);
    }

    #[test]
    fn an_impatient_wait_ends_without_the_lock() {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        assert!(mutex.try_lock_for(LOOK).is_none());
        drop(guard);
        assert!(mutex.try_lock_for(Duration::ZERO).is_some());
    }
}
