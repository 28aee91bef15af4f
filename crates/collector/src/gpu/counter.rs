//! A driver's counter that wraps at 2³².

/// The number of values of a 32-bit counter.
const WRAP: u64 = 1 << 32;

/// Turns a counter that wraps into one that does not. Between two readings it must grow by less than 2³².
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    last: Option<u64>,
    total: u64,
}

impl Counter {
    /// Adds the driver's current value and returns the total. The total starts with the first value.
    pub(super) fn read(&mut self, value: u64) -> u64 {
        let passed = match self.last {
            Some(last) if value < last && last < WRAP => WRAP - last + value,
            // A counter of 64 bits decreases only if it was reset.
            Some(last) if value < last => value,
            Some(last) => value - last,
            None => value,
        };
        self.last = Some(value);
        self.total = self.total.saturating_add(passed);
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[u64]) -> Vec<u64> {
        let mut counter = Counter::default();
        values.iter().map(|value| counter.read(*value)).collect()
    }

    #[test]
    fn counter_of_32_bits_continues_after_wrap() {
        assert_eq!(
            read(&[WRAP - 10, WRAP - 1, 5, 5, WRAP - 2, 0]),
            [WRAP - 10, WRAP - 1, WRAP + 5, WRAP + 5, 2 * WRAP - 2, 2 * WRAP]
        );
    }

    #[test]
    fn counter_of_64_bits_is_taken_as_read_and_may_reset() {
        assert_eq!(read(&[3 * WRAP, 3 * WRAP + 7, 2]), [3 * WRAP, 3 * WRAP + 7, 3 * WRAP + 9]);
    }
}
