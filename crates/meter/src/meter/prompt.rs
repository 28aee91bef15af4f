//! Estimates the tokens of a prompt whose upstream does not report them.

use std::sync::{Mutex, PoisonError};

/// Bytes per token before a request of the model has reported them: English text, in JSON.
const USUAL: f64 = 4.0;
/// A request outside this range does not describe text: its tokens are those of an image, or most of its bytes were
/// not read.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 1.5..=32.0;
/// The weight of the earlier requests relative to the newest one.
const KEPT: f64 = 0.95;

/// The bytes per token of a model's requests so far. Long prompts have a higher weight, because they are nearly all
/// text.
#[derive(Debug, Default)]
pub(super) struct Density(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    bytes: f64,
    tokens: f64,
}

impl Density {
    /// Adds a response that reported the tokens of a request with this many bytes.
    pub(super) fn told(&self, bytes: u64, tokens: u64) {
        if tokens > 0 && PLAUSIBLE.contains(&(bytes as f64 / tokens as f64)) {
            let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sums.bytes = sums.bytes * KEPT + bytes as f64;
            sums.tokens = sums.tokens * KEPT + tokens as f64;
        }
    }

    /// Returns an estimate of the tokens of this many bytes.
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
