//! Whose turn it is to receive.

use std::sync::atomic::{AtomicU8, Ordering};

/// Nobody receives.
const FREE: u8 = 0;
/// Somebody receives.
const TAKEN: u8 = 1;
/// Somebody receives, and the doorbell has rung since.
const RUNG: u8 = 2;

/// A lock that is only ever tried, and that remembers a doorbell which rang while it was taken.
///
/// Whoever holds the turn announces sleep and looks once more before giving it back. A doorbell that rings
/// between that look and the giving back would be lost if the driver just went away because the turn is
/// taken; so it leaves word ([`take_or_ring`](Self::take_or_ring)), and the holder finds it
/// ([`Taken::give_back`]).
#[derive(Debug, Default)]
pub(crate) struct Turn(AtomicU8);

/// The turn, taken. Dropped without [`give_back`](Self::give_back) only by a panic.
#[derive(Debug)]
pub(crate) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Takes the turn if nobody has it.
    pub(crate) fn take(&self) -> Option<Taken<'_>> {
        self.0
            .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Taken(self))
    }

    /// Takes the turn; if somebody has it, that one will look once more after giving it back.
    pub(crate) fn take_or_ring(&self) -> Option<Taken<'_>> {
        loop {
            if let Some(taken) = self.take() {
                return Some(taken);
            }
            // Release, also where the word is there already: what this doorbell announced happened before the
            // holder finds the word.
            for found in [TAKEN, RUNG] {
                if self.0.compare_exchange(found, RUNG, Ordering::Release, Ordering::Relaxed).is_ok() {
                    return None;
                }
            }
        }
    }
}

impl Taken<'_> {
    /// Gives the turn back. True if the doorbell has rung since it was taken: then take it again.
    #[must_use]
    pub(crate) fn give_back(self) -> bool {
        self.0.0.swap(FREE, Ordering::AcqRel) == RUNG
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.0.store(FREE, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_while_taken_is_found_on_giving_back() {
        let turn = Turn::default();
        let taken = turn.take().expect("free");
        assert!(turn.take().is_none());
        assert!(turn.take_or_ring().is_none());
        assert!(turn.take_or_ring().is_none());
        assert!(taken.give_back());
        let taken = turn.take_or_ring().expect("free again");
        assert!(!taken.give_back());
    }
}
