//! Lag and chunk rate of a run, second by second.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Probe, Recording, Spread};

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

/// Returns the windows of `length` seconds in which anything happened, by run and time. A burst may begin at any time, so
/// the rate and the lag of a window are those of the busiest stretch of `length` seconds that ends in it. If the stretch
/// has samples of the probe on a schedule, the lag uses only these.
pub(super) fn windows(recording: &Recording, length: f64) -> Vec<Window> {
    let place = |at: f64| (at / length).floor() as i64;
    let mut runs: BTreeMap<u32, Times> = BTreeMap::new();
    for chunks in recording.chunks.chunk_by(|a, b| a.run == b.run) {
        let times = runs.entry(chunks[0].run).or_default();
        times.chunks.extend(chunks.iter().map(|chunk| chunk.at).filter(|at| at.is_finite()));
    }
    for sample in recording.lag.iter().filter(|sample| sample.at.is_finite()) {
        let times = runs.entry(sample.run).or_default();
        match sample.probe {
            Probe::Schedule => times.lags.push((sample.at, sample.lag)),
            Probe::Yield => times.yields.push((sample.at, sample.lag)),
        }
    }
    let mut windows = Vec::new();
    for (run, mut times) in runs {
        times.sort();
        // The number of chunks of the busiest stretch that ends in the window, and the end of the stretch.
        let mut busiest: BTreeMap<i64, (usize, f64)> = BTreeMap::new();
        let mut first = 0;
        for (last, at) in times.chunks.iter().enumerate() {
            while times.chunks[first] <= at - length {
                first += 1;
            }
            let count = last + 1 - first;
            let found = busiest.entry(place(*at)).or_insert((0, *at));
            if count > found.0 {
                *found = (count, *at);
            }
        }
        for (at, _) in times.lags.iter().chain(&times.yields) {
            let place = place(*at);
            busiest.entry(place).or_insert((0, (place + 1) as f64 * length));
        }
        windows.extend(busiest.into_iter().map(|(place, (chunks, end))| Window {
            run,
            start: place as f64 * length,
            chunks_per_second: chunks as f64 / length,
            lag: Spread::of(&mut times.lag(end - length, end)),
        }));
    }
    windows
}

/// The times of the chunks of a run, and the times and values of its lag.
#[derive(Default)]
struct Times {
    chunks: Vec<f64>,
    lags: Vec<(f64, f64)>,
    yields: Vec<(f64, f64)>,
}

impl Times {
    fn sort(&mut self) {
        self.chunks.sort_unstable_by(f64::total_cmp);
        self.lags.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.yields.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// Returns the lag after `start` and until `end`, which is included.
    fn lag(&self, start: f64, end: f64) -> Vec<f64> {
        let within = |samples: &[(f64, f64)]| {
            let first = samples.partition_point(|(at, _)| *at <= start);
            let last = samples.partition_point(|(at, _)| *at <= end);
            samples[first..last].iter().map(|(_, lag)| *lag).collect::<Vec<f64>>()
        };
        let lags = within(&self.lags);
        if lags.is_empty() { within(&self.yields) } else { lags }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Chunk, LagSample},
        *,
    };

    #[test]
    fn window_counts_its_chunks_and_uses_lag_of_the_better_probe() {
        let chunk = |at| Chunk { run: 1, agent: 0, at, bytes: 100, records: 1, gap: 0.1, parse: f64::NAN };
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
        let found: Vec<(f64, f64, Option<f64>)> = windows(&recording, 1.0)
            .iter()
            .map(|window| (window.start, window.chunks_per_second, window.lag.map(|lag| lag.max)))
            .collect();
        assert_eq!(found, [(10.0, 2.0, Some(0.002)), (11.0, 2.0, Some(0.002)), (12.0, 0.0, Some(0.004))]);
    }
}
