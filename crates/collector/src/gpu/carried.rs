//! A driver's counter, carried on over a driver that begins anew.

/// Begins with the first value that the driver says, and never falls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    last: u64,
    total: u64,
}

impl Carried {
    /// The driver says `value` for the first time.
    pub(super) fn new(value: u64) -> Carried {
        Carried { last: value, total: value }
    }

    /// The driver says `value` now. Below the last value it began at 0 since then.
    pub(super) fn read(&mut self, value: u64) {
        let passed = value.checked_sub(self.last).unwrap_or(value);
        self.last = value;
        self.total = self.total.saturating_add(passed);
    }

    pub(super) fn total(self) -> u64 {
        self.total
    }
}

/// Reads a value into a counter that may not have begun. Without a value it stays as it is.
pub(super) fn carry(before: Option<Carried>, value: Option<u64>) -> Option<Carried> {
    match (before, value) {
        (Some(mut carried), Some(value)) => {
            carried.read(value);
            Some(carried)
        }
        (None, Some(value)) => Some(Carried::new(value)),
        (before, None) => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_of_a_driver_that_began_anew_goes_on() {
        let mut carried = None;
        let totals = [Some(7_000), Some(7_500), None, Some(200), Some(300)].map(|value| {
            carried = carry(carried, value);
            carried.unwrap().total()
        });
        assert_eq!(totals, [7_000, 7_500, 7_500, 7_700, 7_800]);
    }
}
