//! Decides which generations are recorded.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The odd number by which splitmix64 counts (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Chooses a share of the generations at random.
#[derive(Debug)]
pub(super) struct StreamSampler {
    ratio: f64,
    state: AtomicU64,
}

impl StreamSampler {
    pub(super) fn new(ratio: f64) -> StreamSampler {
        StreamSampler { ratio, state: AtomicU64::new(RandomState::new().build_hasher().finish()) }
    }

    pub(super) fn takes(&self) -> bool {
        self.ratio >= 1.0 || self.unit() < self.ratio
    }

    /// A random number from 0 to 1, by splitmix64.
    fn unit(&self) -> f64 {
        let mut bits = self.state.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampler_takes_its_share_of_generations() {
        let all = (0..1000).filter(|_| StreamSampler::new(1.0).takes()).count();
        let sampler = StreamSampler::new(0.1);
        let some = (0..20_000).filter(|_| sampler.takes()).count();
        // Six standard deviations.
        assert!(all == 1000 && (1_745..=2_255).contains(&some), "{all}, {some}");
    }
}
