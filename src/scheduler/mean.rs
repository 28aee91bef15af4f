//! A mean that follows change.

/// The weight of the newest value.
const NEWEST: f64 = 0.2;

/// An exponentially weighted mean; `None` before the first value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean(Option<f64>);

impl Mean {
    /// Adds a value. A value that is not finite is ignored.
    pub(crate) fn observe(&mut self, value: f64) {
        if value.is_finite() {
            self.0 = Some(self.0.map_or(value, |mean| mean + NEWEST * (value - mean)));
        }
    }

    /// The mean of the values so far.
    #[must_use]
    pub(crate) fn get(self) -> Option<f64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_starts_at_first_value_and_follows_change() {
        let mut mean = Mean::default();
        assert_eq!(mean.get(), None);
        mean.observe(f64::NAN);
        mean.observe(10.0);
        assert_eq!(mean.get(), Some(10.0));
        for _ in 0..40 {
            mean.observe(2.0);
        }
        assert!((2.0..2.01).contains(&mean.get().unwrap()), "{mean:?}");
    }
}
