//! Whether a card is at rest, so that it can be read less often.

use std::time::{Duration, Instant};

use super::sample::{Depth, Pcie, Sample};

/// A card is at rest after this time without activity.
const QUIET: Duration = Duration::from_secs(30);
/// More PCIe traffic than this between two readings is activity, bytes.
const MURMUR: u64 = 1 << 20;
/// Time between two readings of all fields. Fields that can spike are read every time.
const FULL: Duration = Duration::from_secs(1);
/// The same for a card at rest. Its counters lose nothing, and one of them takes NVML 3 ms to read.
const FULL_AT_REST: Duration = Duration::from_secs(10);
/// Time between two readings of the PCIe counters of a card at rest.
const TRAFFIC_AT_REST: Duration = Duration::from_secs(1);

/// The time of the last activity on a card, and the times of the last readings.
#[derive(Debug)]
pub(super) struct Rest {
    since: Instant,
    used: Option<u64>,
    carried: u64,
    full: Option<Instant>,
    traffic: Instant,
}

impl Rest {
    pub(super) fn new(now: Instant) -> Rest {
        Rest { since: now, used: None, carried: 0, full: None, traffic: now }
    }

    /// Whether the card is at rest. A program first allocates memory, so the next reading ends the rest.
    pub(super) fn is_long(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= QUIET
    }

    /// Returns which fields to read now.
    pub(super) fn depth(&self, now: Instant) -> Depth {
        let is_due = |last: Instant, every| now.saturating_duration_since(last) >= every;
        let is_long = self.is_long(now);
        let every = if is_long { FULL_AT_REST } else { FULL };
        if self.full.is_none_or(|full| is_due(full, every)) {
            Depth::Full
        } else if !is_long || is_due(self.traffic, TRAFFIC_AT_REST) {
            Depth::Fast
        } else {
            Depth::Glance
        }
    }

    /// Notes the result of a reading.
    pub(super) fn note(&mut self, now: Instant, depth: Depth, sample: &Sample) {
        if depth == Depth::Full {
            self.full = Some(now);
        }
        if depth != Depth::Glance {
            self.traffic = now;
        }
        let used = sample.memory.map(|memory| memory.used);
        let carried = match sample.pcie {
            Some(Pcie::Counted { transmit, receive }) => transmit.saturating_add(receive),
            _ => 0,
        };
        let works = sample.utilization_percent.is_some_and(|percent| percent > 0)
            || used != self.used
            || carried.saturating_sub(self.carried) > MURMUR;
        if works {
            self.since = now;
        }
        (self.used, self.carried) = (used, carried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Memory;

    fn idle() -> Sample {
        Sample {
            utilization_percent: Some(0),
            memory: Some(Memory { used: 500, free: 500, total: 1000 }),
            pcie: Some(Pcie::Counted { transmit: 7, receive: 9 }),
            ..Sample::default()
        }
    }

    /// Reads ten times a second for `seconds`. Returns how often each depth was read in the last ten seconds.
    fn depths(rest: &mut Rest, start: Instant, seconds: u64, sample: &Sample) -> [usize; 3] {
        let mut counts = [0; 3];
        for tick in 0..seconds * 10 {
            let now = start + Duration::from_millis(tick * 100);
            let depth = rest.depth(now);
            rest.note(now, depth, sample);
            if tick >= (seconds - 10) * 10 {
                counts[[Depth::Full, Depth::Fast, Depth::Glance]
                    .iter()
                    .position(|one| *one == depth)
                    .unwrap()] += 1;
            }
        }
        counts
    }

    #[test]
    fn idle_gpu_is_read_briefly_and_busy_gpu_in_full() {
        let start = Instant::now();
        assert_eq!(depths(&mut Rest::new(start), start, 60, &idle()), [1, 9, 90]);
        let busy = Sample { utilization_percent: Some(3), ..idle() };
        assert_eq!(depths(&mut Rest::new(start), start, 60, &busy), [10, 90, 0]);
    }

    #[test]
    fn idle_gpu_is_read_in_full_at_once_after_memory_or_pcie_use() {
        let start = Instant::now();
        let later = start + Duration::from_secs(61);
        let taken = Sample { memory: Some(Memory { used: 501, free: 499, total: 1000 }), ..idle() };
        let carried = Sample { pcie: Some(Pcie::Counted { transmit: 7, receive: 9 + MURMUR + 1 }), ..idle() };
        for works in [taken, carried] {
            let mut rest = Rest::new(start);
            depths(&mut rest, start, 60, &idle());
            assert!(rest.is_long(later));
            rest.note(later, rest.depth(later), &idle());
            assert!(rest.is_long(later), "the same as before");
            rest.note(later, rest.depth(later), &works);
            assert!(!rest.is_long(later));
            let next = later + Duration::from_millis(100);
            assert_eq!(rest.depth(next), Depth::Full, "the process that took the memory becomes visible");
            rest.note(next, Depth::Full, &works);
            assert_eq!(rest.depth(next + Duration::from_millis(100)), Depth::Fast);
        }
    }
}
