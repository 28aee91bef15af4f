//! Decides which generations are recorded.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The odd number by which splitmix64 counts (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws a chance for each generation. A share of the generations is those whose chance is below it.
#[derive(Debug)]
pub(super) struct StreamSampler(AtomicU64);

impl Default for StreamSampler {
    fn default() -> StreamSampler {
        StreamSampler(AtomicU64::new(RandomState::new().build_hasher().finish()))
    }
}

impl StreamSampler {
    /// Returns a random number that is at least 0 and below 1, by splitmix64.
    pub(super) fn chance(&self) -> f64 {
        let mut bits = self.0.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_of_chances_is_below_it() {
        let sampler = StreamSampler::default();
        let chances: Vec<f64> = (0..20_000).map(|_| sampler.chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        let below = chances.iter().filter(|chance| **chance < 0.1).count();
        // Six standard deviations.
        assert!((1_745..=2_255).contains(&below), "{below}");
    }
}
