//! Who sleeps, who rings: the protocol between a side that announces its sleep and a side that publishes.
//!
//! Sleeper: announce, fence, look once more, sleep. Publisher: publish, fence, ring if the word says
//! asleep. The two sequentially consistent fences make at least one of them see the other, so no wake-up
//! is lost. Only the sleeper writes its word; whoever rings remembers for which sleep it rang. A publisher
//! that is killed half-way can therefore not silence a doorbell.
//!
//! The same protocol serves both waits: for frames (the receiver sleeps), and for room (the sender does).

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The word of a side that is awake.
pub const AWAKE: u64 = 0;

/// The sleeper's part.
#[derive(Debug, Default)]
pub struct Sleeper {
    /// Number of this side's last announced sleep.
    epoch: AtomicU64,
}

impl Sleeper {
    /// A side that has never slept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a sleep in this side's shared word. What was published must be looked for once more
    /// before sleeping.
    pub fn announce(&self, word: &AtomicU64) {
        // Relaxed: the number only has to differ from every earlier one.
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        word.store(epoch, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back.
    pub fn awake(word: &AtomicU64) {
        word.store(AWAKE, Ordering::Relaxed);
    }
}

/// The part of the side that rings.
#[derive(Debug, Default)]
pub struct Ringer {
    /// The peer's sleep for which this side rang last.
    rung: AtomicU64,
}

impl Ringer {
    /// A side that has never rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// Call after publishing: must the peer's doorbell be rung? True once for each announced sleep.
    #[must_use]
    pub fn must_ring(&self, word: &AtomicU64) -> bool {
        fence(Ordering::SeqCst);
        let epoch = word.load(Ordering::Relaxed);
        // Of two senders that see the same sleep one rings; that one has not returned from its send yet.
        epoch != AWAKE && self.rung.swap(epoch, Ordering::Relaxed) != epoch
    }
}
