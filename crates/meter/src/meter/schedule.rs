//! Decides when the local counts of a stream are added to the shared counts.

use std::time::{Duration, Instant};

/// They are added after at most this many chunks.
const CHUNKS: u32 = 32;
/// In a slow stream, they are added with the first chunk after this time, so that a scrape is not minutes behind.
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

    /// Counts one more chunk, and returns whether the counts are due.
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
