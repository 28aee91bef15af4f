//! Random numbers from a fixed seed, the same as those of numpy.

use rand_pcg::{Pcg64, rand_core::Rng};

/// A generator with the draws of `numpy.random.Generator(PCG64)` in the same state, so that scipy's bootstrap and
/// permutation test can verify ours resample by resample.
#[derive(Clone, Debug)]
pub struct Random {
    source: Pcg64,
    /// The upper half of a draw whose lower half was used.
    half: Option<u32>,
}

impl Random {
    /// Returns the generator for `seed`: PCG XSL RR 128/64 with state `seed` and stream 117, seeded as in its
    /// reference code.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random { source: Pcg64::new(u128::from(seed), 117), half: None }
    }

    fn next_half(&mut self) -> u32 {
        match self.half.take() {
            Some(half) => half,
            None => {
                let whole = self.source.next_u64();
                self.half = Some((whole >> 32) as u32);
                whole as u32
            }
        }
    }

    /// Returns an integer below `bound`, all with equal probability: Lemire, "Fast random integer generation in an
    /// interval", ACM TOMACS 29 (2019). `bound` is at least 1.
    pub fn below(&mut self, bound: u32) -> u32 {
        if bound <= 1 {
            return 0;
        }
        let mut product = u64::from(self.next_half()) * u64::from(bound);
        if (product as u32) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u32) < threshold {
                product = u64::from(self.next_half()) * u64::from(bound);
            }
        }
        (product >> 32) as u32
    }

    /// Returns a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.source.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts the values into a random order (Fisher and Yates). There must be fewer than 2^32.
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            // numpy rejects values that are too large here, instead of using Lemire's product.
            let mask = (last + 1).next_power_of_two() - 1;
            let other = loop {
                let draw = self.next_half() as usize & mask;
                if draw <= last {
                    break draw;
                }
            };
            values.swap(last, other);
        }
    }
}
