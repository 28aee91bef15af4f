//! How many tokens a prompt has whose upstream does not tell, as far as that can be estimated.

use std::sync::{Mutex, PoisonError};

/// Bytes per token before a request of the model told: English text, in JSON.
const USUAL: f64 = 4.0;
/// A request with other bytes per token says nothing of text: its tokens are those of an image, or most of its bytes
/// were cut off.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 1.5..=32.0;
/// What the earlier requests weigh beside the newest one.
const KEPT: f64 = 0.95;

/// The bytes per token of a model's requests so far. Long prompts weigh more, since they are nearly all text.
#[derive(Debug, Default)]
pub(super) struct Density(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    bytes: f64,
    tokens: f64,
}

impl Density {
    /// An answer told how many tokens the bytes of a request were.
    pub(super) fn told(&self, bytes: u64, tokens: u64) {
        if tokens > 0 && PLAUSIBLE.contains(&(bytes as f64 / tokens as f64)) {
            let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sums.bytes = sums.bytes * KEPT + bytes as f64;
            sums.tokens = sums.tokens * KEPT + tokens as f64;
        }
    }

    /// An estimate of the tokens of so many bytes.
    pub(super) fn tokens(&self, bytes: u64) -> u64 {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let density = if sums.tokens > 0.0 { sums.bytes / sums.tokens } else { USUAL };
        (bytes as f64 / density).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_estimate_follows_reported_counts_and_ignores_images_and_cut_prompts() {
        let density = Density::default();
        assert_eq!(density.tokens(4_000), 1_000);
        density.told(100, 3_000);
        density.told(1_000_000, 2_048);
        density.told(10, 0);
        assert_eq!(density.tokens(4_000), 1_000);
        for _ in 0..100 {
            density.told(2_000, 1_000);
        }
        assert_eq!((density.tokens(4_000), density.tokens(0)), (2_000, 0));
    }
}
