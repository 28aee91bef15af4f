//! The speed of a stream that runs alone.

use std::time::Duration;

use tokio::time::Instant;

/// Older values are dropped, because another model or another GPU may be in use.
pub(super) const HORIZON: Duration = Duration::from_secs(3600);
/// The number of parts in which the horizon moves on.
const PARTS: usize = 12;
/// The seconds that a stream must have run alone before others are compared with it.
const ENOUGH: f64 = 1.0;

/// The tokens and seconds of single streams within the horizon. Only time in which nothing held them is added.
/// Otherwise the baseline would fall with the pace that it is used to judge.
#[derive(Debug)]
pub(super) struct Baseline {
    began: Instant,
    /// The number of the newest part since `began`.
    newest: u64,
    parts: [BandPart; PARTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct BandPart {
    seconds: f64,
    tokens: f64,
}

impl Baseline {
    /// Starts now, with the values that are known.
    pub(super) fn new(now: Instant, seconds: f64, tokens: f64) -> Baseline {
        let mut parts = [BandPart::default(); PARTS];
        parts[0] = BandPart { seconds, tokens };
        Baseline { began: now, newest: 0, parts }
    }

    /// Drops values that are too old, and adds those since the last call.
    pub(super) fn add(&mut self, now: Instant, seconds: f64, tokens: f64) {
        let part = HORIZON / PARTS as u32;
        let number = now.saturating_duration_since(self.began).as_secs() / part.as_secs();
        for passed in (self.newest + 1..=number).take(PARTS) {
            self.parts[passed as usize % PARTS] = BandPart::default();
        }
        self.newest = number;
        let newest = &mut self.parts[number as usize % PARTS];
        newest.seconds += seconds;
        newest.tokens += tokens;
    }

    /// Returns the tokens per second. `None`: too little is known.
    pub(super) fn rate(&self) -> Option<f64> {
        let seconds: f64 = self.parts.iter().map(|part| part.seconds).sum();
        let tokens: f64 = self.parts.iter().map(|part| part.tokens).sum();
        (seconds >= ENOUGH && tokens > 0.0).then_some(tokens / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baseline_older_than_its_horizon_is_forgotten() {
        let start = Instant::now();
        let minutes = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let mut baseline = Baseline::new(start, 10.0, 1000.0);
        assert_eq!(baseline.rate(), Some(100.0));
        // From now on, another model is in use.
        baseline.add(minutes(30), 10.0, 200.0);
        assert_eq!(baseline.rate(), Some(60.0));
        baseline.add(minutes(61), 0.0, 0.0);
        assert_eq!(baseline.rate(), Some(20.0));
        baseline.add(minutes(91), 0.0, 0.0);
        assert_eq!(baseline.rate(), None);
        // This holds however long no request came.
        baseline.add(minutes(92), 2.0, 100.0);
        baseline.add(minutes(100_000), 2.0, 20.0);
        assert_eq!(baseline.rate(), Some(10.0));
    }

    #[test]
    fn baseline_needs_at_least_a_second_alone() {
        let start = Instant::now();
        assert_eq!(Baseline::new(start, 0.9, 90.0).rate(), None);
        assert_eq!(Baseline::new(start, 5.0, 0.0).rate(), None);
    }
}
