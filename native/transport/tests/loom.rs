//! Interleavings of the parking protocol: no wake-up is lost, for frames or for room.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p pycrust-transport --test loom --release`
#![cfg(loom)]
#![allow(missing_docs, dead_code, reason = "nothing but models")]

#[path = "../src/sleeping/parking.rs"]
mod parking;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use parking::{Ringer, Sleeper};

/// An eventfd: a counter that wakes whoever waits for it to change.
struct Bell {
    rung: Mutex<bool>,
    edge: Condvar,
}

impl Bell {
    fn new() -> Self {
        Self { rung: Mutex::new(false), edge: Condvar::new() }
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.edge.notify_one();
    }

    /// Waits for an edge. loom reports a deadlock if none ever comes.
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.edge.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// What two processes share, and each side's own part.
struct Shared {
    asleep: AtomicU64,
    published: AtomicU64,
    bell: Bell,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { asleep: AtomicU64::new(0), published: AtomicU64::new(0), bell: Bell::new() })
    }

    /// Publishes one more frame and rings if the other side sleeps.
    fn publish(&self, ringer: &Ringer) {
        self.published.fetch_add(1, Ordering::Release);
        if ringer.must_ring(&self.asleep) {
            self.bell.ring();
        }
    }

    /// Sleeps as often as needed until `wanted` frames are published in all.
    fn drain_to(&self, sleeper: &Sleeper, wanted: u64) {
        while self.published.load(Ordering::Acquire) < wanted {
            sleeper.announce(&self.asleep);
            if self.published.load(Ordering::Acquire) < wanted {
                self.bell.wait();
            }
            Sleeper::awake(&self.asleep);
        }
    }
}

/// Runs `test` under every interleaving with at most three preemptions, which takes seconds. Without either
/// fence of the protocol it finds the lost wake-up.
fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn a_sleeper_sees_every_frame_of_one_sender() {
    model(|| {
        let shared = Shared::new();
        let sender = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let ringer = Ringer::new();
                shared.publish(&ringer);
                shared.publish(&ringer);
            })
        };
        shared.drain_to(&Sleeper::new(), 2);
        sender.join().unwrap();
    });
}

#[test]
fn a_sleeper_sees_every_frame_of_two_senders() {
    model(|| {
        let shared = Shared::new();
        let ringer = Arc::new(Ringer::new());
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (shared, ringer) = (Arc::clone(&shared), Arc::clone(&ringer));
                thread::spawn(move || shared.publish(&ringer))
            })
            .collect();
        shared.drain_to(&Sleeper::new(), 2);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// A window of one: the sender waits for room, the receiver for frames, each rings the other.
#[test]
fn a_sender_that_waits_for_room_is_woken() {
    model(|| {
        const FRAMES: u64 = 2;
        let frames = Shared::new();
        let room = Shared::new();
        let sender = {
            let (frames, room) = (Arc::clone(&frames), Arc::clone(&room));
            thread::spawn(move || {
                let (ringer, waiter) = (Ringer::new(), Sleeper::new());
                for sent in 0..FRAMES {
                    while sent > room.published.load(Ordering::Acquire) {
                        // As `send` does: announce, look again, and only then wait.
                        waiter.announce(&room.asleep);
                        if sent > room.published.load(Ordering::Acquire) {
                            room.bell.wait();
                        }
                    }
                    frames.publish(&ringer);
                }
            })
        };
        let (sleeper, ringer) = (Sleeper::new(), Ringer::new());
        for wanted in 1..=FRAMES {
            frames.drain_to(&sleeper, wanted);
            room.publish(&ringer);
        }
        sender.join().unwrap();
    });
}
