//! The durations of small requests, and whether they grow over time.

use std::{fmt, sync::Mutex, time::Duration};

/// The start of each request since the beginning, and its duration.
#[derive(Default)]
pub(crate) struct Latencies(Mutex<Vec<(f64, f64)>>);

/// The 99th percentile of the second third of the time and of the last third, in seconds.
pub(crate) struct Slower {
    before: f64,
    after: f64,
}

impl Latencies {
    pub(crate) fn note(&self, at: Duration, took: Duration) {
        self.0.lock().unwrap().push((at.as_secs_f64(), took.as_secs_f64()));
    }

    /// For a run of this many seconds.
    pub(crate) fn slower(&self, seconds: f64) -> Slower {
        let noted = self.0.lock().unwrap();
        let of = |from: f64, to: f64| {
            let mut took: Vec<_> = noted
                .iter()
                .filter(|(at, _)| (from * seconds..to * seconds).contains(at))
                .map(|noted| noted.1)
                .collect();
            took.sort_unstable_by(f64::total_cmp);
            assert!(took.len() >= 10, "{} were timed", took.len());
            took[took.len() * 99 / 100]
        };
        Slower { before: of(1.0 / 3.0, 2.0 / 3.0), after: of(2.0 / 3.0, 1.0) }
    }
}

impl Slower {
    /// `noise` comes from a machine that does other things too.
    pub(crate) fn is_steady(&self, noise: Duration) -> bool {
        self.after <= 2.0 * self.before + noise.as_secs_f64()
    }
}

impl fmt::Display for Slower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (self.before * 1e3, self.after * 1e3);
        write!(
            f,
            "p99 of small requests {before:.1} ms in the second third of the time, {after:.1} ms in the last"
        )
    }
}
