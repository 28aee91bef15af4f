//! Lag and chunk rate of a run, second by second.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Probe, Recording, Spread};

/// One window of time of one run (TR117, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// The run's number.
    pub run: u32,
    /// The start of the window, in seconds since the start of the recording.
    pub start: f64,
    /// Chunks per second of all agents.
    pub chunks_per_second: f64,
    /// The lag of the loop in seconds. `None`: there was no probe.
    pub lag: Option<Spread>,
}

/// Returns the windows of `length` seconds in which anything happened, by run and time. The lag is that of the probe
/// on a schedule, if the window has one.
pub(super) fn windows(recording: &Recording, length: f64) -> Vec<Window> {
    #[derive(Default)]
    struct Content {
        chunks: usize,
        lags: Vec<f64>,
        yields: Vec<f64>,
    }
    let place = |at: f64| (at / length).floor() as i64;
    let mut contents: BTreeMap<(u32, i64), Content> = BTreeMap::new();
    let together =
        |run: u32, at: f64, other_run: u32, other_at: f64| run == other_run && place(at) == place(other_at);
    for chunks in recording.chunks.chunk_by(|a, b| together(a.run, a.at, b.run, b.at)) {
        if chunks[0].at.is_finite() {
            contents.entry((chunks[0].run, place(chunks[0].at))).or_default().chunks += chunks.len();
        }
    }
    for sample in recording.lag.iter().filter(|sample| sample.at.is_finite()) {
        let content = contents.entry((sample.run, place(sample.at))).or_default();
        match sample.probe {
            Probe::Schedule => content.lags.push(sample.lag),
            Probe::Yield => content.yields.push(sample.lag),
        }
    }
    contents
        .into_iter()
        .map(|((run, place), mut content)| Window {
            run,
            start: place as f64 * length,
            chunks_per_second: content.chunks as f64 / length,
            lag: Spread::of(if content.lags.is_empty() { &mut content.yields } else { &mut content.lags }),
        })
        .collect()
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
        assert_eq!(found, [(10.0, 2.0, Some(0.002)), (11.0, 1.0, None), (12.0, 0.0, Some(0.004))]);
    }
}
