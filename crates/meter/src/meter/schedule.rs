//! When what a stream counted locally joins the shared counts.

use std::time::{Duration, Instant};

/// At the latest after so many chunks,
const CHUNKS: u32 = 32;
/// or, in a slow stream, with the first chunk after this: a scrape is not to lag behind by minutes.
const AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Schedule {
    chunks: u32,
    last: Instant,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Schedule {
        Schedule { chunks: 0, last: now }
    }

    /// One more chunk was counted: is it time?
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.chunks += 1;
        let due = self.chunks >= CHUNKS || now.saturating_duration_since(self.last) >= AFTER;
        if due {
            *self = Schedule::new(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_is_due_after_so_many_chunks_or_some_time() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        let due: Vec<_> = (1..=64).filter(|_| schedule.is_due(start)).collect();
        assert_eq!(due, [32, 64]);
        assert!(!schedule.is_due(start + AFTER / 2));
        assert!(schedule.is_due(start + AFTER));
        assert!(!schedule.is_due(start + AFTER));
    }
}
