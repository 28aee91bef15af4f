//! Random numbers that can be drawn again: every draw is a function of a seed and a position.
//!
//! No generator holds a state. A text can therefore be written twice (token by token, and whole in the last event),
//! and concurrent streams do not change each other's draws.

/// A seed for draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Returns the draw at `place`: SplitMix64's output function.
    pub(super) const fn at(self, place: u64) -> u64 {
        let mut z = self.0.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a seed for the item with the number `place`.
    pub(super) const fn child(self, place: u64) -> Self {
        Self(self.at(place))
    }

    /// Returns a seed for a text (FNV-1a).
    pub(super) fn child_of(self, text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.child(hash)
    }

    /// Returns the draw at `place`, in `0.0..1.0`.
    pub(super) fn unit(self, place: u64) -> f64 {
        (self.at(place) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns whether an event with this probability occurs at `place`.
    pub(super) fn happens(self, place: u64, probability: f64) -> bool {
        probability > 0.0 && self.unit(place) < probability
    }

    /// Returns a text in the form of a SHA-256.
    pub(super) fn digest(self) -> String {
        (0..4).map(|place| format!("{:016x}", self.at(place))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn seed_draw_is_repeatable_and_its_neighbours_differ() {
        let seed = Seed::new(7);
        assert_eq!(seed.at(3), Seed::new(7).at(3));
        assert_ne!(seed.at(3), seed.at(4));
        assert_ne!(seed.child_of("a"), seed.child_of("b"));
        assert_eq!(seed.digest().len(), 64);
    }

    #[test]
    fn seed_probability_is_about_as_configured() {
        let hits = (0..10_000).filter(|place| Seed::new(1).happens(*place, 0.1)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!(!Seed::new(1).happens(0, 0.0));
        assert!(Seed::new(1).happens(0, 1.0));
    }
}
