//! The priority of a caller, and the class that a waiting request rises to.

use std::time::Duration;

/// The number of classes.
pub(super) const CLASSES: usize = 3;

/// The priority of a caller's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Served before all others.
    High,
    /// The default.
    #[default]
    Normal,
    /// Served after all others.
    Low,
}

impl Priority {
    /// Each of them, from the highest to the lowest.
    pub const ALL: [Priority; CLASSES] = [Priority::High, Priority::Normal, Priority::Low];

    /// The value of the label `priority` and of `key.priority`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }

    /// Its number. 0 is served first.
    pub(super) const fn class(self) -> usize {
        self as usize
    }
}

/// Returns the ranks of the classes. The lowest rank is served first. `waits` is the wait of the oldest request of each
/// class. `None`: no request of the class waits.
///
/// A class rises by one rank for each `aging` that its oldest request has waited, but never above a higher class: it
/// becomes the peer of that class. So no priority starves, and a flood of requests of low priority does not delay the
/// others.
pub(super) fn ranks(waits: [Option<Duration>; CLASSES], aging: Duration) -> [Option<usize>; CLASSES] {
    let mut highest = 0;
    std::array::from_fn(|class| {
        let wait = waits[class]?;
        let rises = (1..=class)
            .rev()
            .find(|rises| wait >= aging.saturating_mul(u32::try_from(*rises).unwrap_or(u32::MAX)));
        highest = highest.max(class - rises.unwrap_or(0));
        Some(highest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_rises_one_rank_each_aging_and_never_above_a_class_that_goes_before_it() {
        let ranks = |waits: [Option<u64>; CLASSES]| {
            super::ranks(waits.map(|wait| wait.map(Duration::from_secs)), Duration::from_secs(10))
        };
        assert_eq!(ranks([Some(0), Some(0), Some(0)]), [Some(0), Some(1), Some(2)]);
        assert_eq!(ranks([Some(99), Some(10), Some(9)]), [Some(0), Some(0), Some(2)]);
        assert_eq!(ranks([Some(0), Some(9), Some(99)]), [Some(0), Some(1), Some(1)]);
        assert_eq!(ranks([Some(0), None, Some(19)]), [Some(0), None, Some(1)]);
        assert_eq!(ranks([Some(0), None, Some(20)]), [Some(0), None, Some(0)]);
        assert_eq!(ranks([None; CLASSES]), [None; CLASSES]);
    }
}
