//! A driver's counter that continues when the driver restarts its own at 0.

/// Begins with the first value that the driver reports, and never decreases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    last: u64,
    total: u64,
}

impl Carried {
    /// Starts with the first value that the driver reports.
    pub(super) fn new(value: u64) -> Carried {
        Carried { last: value, total: value }
    }

    /// Adds the driver's current value. A value below the last one means that the driver's counter restarted at 0.
    pub(super) fn read(&mut self, value: u64) {
        let passed = value.checked_sub(self.last).unwrap_or(value);
        self.last = value;
        self.total = self.total.saturating_add(passed);
    }

    pub(super) fn total(self) -> u64 {
        self.total
    }
}

/// Adds a value to a counter that may not have started. Without a value, the counter stays unchanged.
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
    fn counter_continues_after_driver_restart() {
        let mut carried = None;
        let totals = [Some(7_000), Some(7_500), None, Some(200), Some(300)].map(|value| {
            carried = carry(carried, value);
            carried.unwrap().total()
        });
        assert_eq!(totals, [7_000, 7_500, 7_500, 7_700, 7_800]);
    }
}
