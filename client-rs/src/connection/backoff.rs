//! Pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A pause that is different for everyone who was told of the same end: between half of it and all.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // The standard library's only source of chance: each state's keys are its own.
    let chance = RandomState::new().hash_one(()) as u32;
    pause / 2 + (pause / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}
