//! Random numbers for names and jitter, from the seeds of the standard library's hash maps, which the system draws.

use std::hash::{BuildHasher, RandomState};

/// A random number.
pub(super) fn number() -> u64 {
    RandomState::new().hash_one(0_u64)
}

/// A random number between two others.
pub(super) fn between(low: f64, high: f64) -> f64 {
    let share = f64::from(u32::try_from(number() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    low + (high - low) * share
}
