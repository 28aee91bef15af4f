//! Lag and chunk rate of a run, second by second.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Spread;

/// One window of time of one run (TR117, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Window {
    /// The run's number.
    pub(crate) run: u32,
    /// The start of the window, in seconds since the start of the recording.
    pub(crate) start: f64,
    /// Chunks per second of all agents.
    pub(crate) chunks_per_second: f64,
    /// The lag of the loop in seconds. `None`: there was no probe.
    pub(crate) lag: Option<Spread>,
}

/// The busiest stretch of a window's length that ends in the window. A burst may begin at any time, so the rate and the lag
/// of a window are those of this stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Busiest {
    /// The number of its chunks.
    pub(super) chunks: usize,
    /// Its end.
    end: f64,
    /// The lag in it. If it has samples of the probe on a schedule, only these count.
    pub(super) lag: Option<Spread>,
}

/// Returns the stretch of each window of `length` seconds in which a chunk arrived, and sorts the times.
pub(super) fn busiest(times: &mut Vec<f64>, length: f64) -> BTreeMap<i64, Busiest> {
    times.retain(|at| at.is_finite());
    times.sort_unstable_by(f64::total_cmp);
    let mut busiest: BTreeMap<i64, Busiest> = BTreeMap::new();
    let mut first = 0;
    for (last, at) in times.iter().enumerate() {
        while times[first] <= at - length {
            first += 1;
        }
        let chunks = last + 1 - first;
        let found = busiest.entry(place(*at, length)).or_insert(Busiest { chunks: 0, end: *at, lag: None });
        if chunks > found.chunks {
            *found = Busiest { chunks, end: *at, lag: None };
        }
    }
    busiest
}

/// Sets the lag of each window, and adds the windows in which there was only lag. The samples of both probes are in the
/// order of time.
pub(super) fn add_lag(
    windows: &mut BTreeMap<i64, Busiest>,
    lags: &[(f64, f64)],
    yields: &[(f64, f64)],
    length: f64,
) {
    for (at, _) in lags.iter().chain(yields) {
        let place = place(*at, length);
        let end = (place + 1) as f64 * length;
        windows.entry(place).or_insert(Busiest { chunks: 0, end, lag: None });
    }
    for stretch in windows.values_mut() {
        let mut found = within(lags, stretch.end - length, stretch.end);
        if found.is_empty() {
            found = within(yields, stretch.end - length, stretch.end);
        }
        stretch.lag = Spread::of(&mut found);
    }
}

fn place(at: f64, length: f64) -> i64 {
    (at / length).floor() as i64
}

/// Returns the lag after `start` and until `end`, which is included.
fn within(samples: &[(f64, f64)], start: f64, end: f64) -> Vec<f64> {
    let first = samples.partition_point(|(at, _)| *at <= start);
    let last = samples.partition_point(|(at, _)| *at <= end);
    samples[first..last].iter().map(|(_, lag)| *lag).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Chunk, LagSample, Probe, Recording, digest::windows, reduction::digests};

    #[test]
    fn window_counts_its_chunks_and_uses_lag_of_the_better_probe() {
        let chunk = |at| Chunk {
            run: 1,
            agent: 0,
            at,
            bytes: 100,
            records: 1,
            gap: 0.1,
            parse: f64::NAN,
            streams: 0,
        };
        let sample = |at, lag, probe| LagSample { run: 1, process: 0, probe, at, lag };
        let recording = Recording {
            chunks: vec![chunk(10.0), chunk(10.9), chunk(11.0), chunk(f64::NAN)],
            lag: vec![
                sample(10.2, 0.5, Probe::Yield),
                sample(10.3, 0.002, Probe::Schedule),
                sample(12.5, 0.004, Probe::Yield),
            ],
            ..Recording::default()
        };
        let found: Vec<(f64, f64, Option<f64>)> = windows(&digests(&recording, 1.0))
            .iter()
            .map(|window| (window.start, window.chunks_per_second, window.lag.map(|lag| lag.max)))
            .collect();
        assert_eq!(found, [(10.0, 2.0, Some(0.002)), (11.0, 2.0, Some(0.002)), (12.0, 0.0, Some(0.004))]);
    }
}
