//! Reduces the rows of a run to its digest.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::{
    Chunk, Curve, Gaps, LagSample, Probe, Recording, RunDigest, Spread,
    digest::{Curves, Digests},
    window::{add_lag, busiest},
};

/// The chunks of a run that is being read, 24 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct ChunkRows {
    bytes: u64,
    times: Vec<f64>,
    gaps: Vec<f64>,
    parses: Vec<f64>,
    responses: HashMap<u32, Gaps>,
}

impl ChunkRows {
    pub(crate) fn add(&mut self, chunk: &Chunk) {
        self.bytes += u64::from(chunk.bytes);
        self.times.push(chunk.at);
        self.gaps.push(chunk.gap);
        if !chunk.parse.is_nan() {
            self.parses.push(chunk.parse);
        }
        self.responses.entry(chunk.agent).or_default().add(chunk.gap);
    }
}

/// The lag of a run that is being read, by time.
#[derive(Debug, Default)]
pub(crate) struct LagRows {
    lags: Vec<(f64, f64)>,
    yields: Vec<(f64, f64)>,
}

impl LagRows {
    pub(crate) fn add(&mut self, sample: &LagSample) {
        match sample.probe {
            Probe::Schedule => self.lags.push((sample.at, sample.lag)),
            Probe::Yield => self.yields.push((sample.at, sample.lag)),
        }
    }
}

impl RunDigest {
    /// Reduces the rows of a run. `length` is that of a window, in seconds.
    pub(crate) fn of(run: u32, mut rows: ChunkRows, length: f64) -> RunDigest {
        let gap = Spread::of(&mut rows.gaps);
        let chunks = rows.times.len();
        RunDigest {
            run,
            chunks,
            bytes: rows.bytes,
            gap,
            parse: Spread::of(&mut rows.parses),
            responses: rows.responses,
            windows: busiest(&mut rows.times, length),
            length,
            curves: Arc::new(Curves { gaps: Curve::of_sorted(&rows.gaps), ..Curves::default() }),
            ..RunDigest::default()
        }
    }

    /// Adds the lag of the run, all of it at once.
    pub(crate) fn add_lag(&mut self, rows: LagRows) {
        let LagRows { mut lags, mut yields } = rows;
        self.lags = lags.len() + yields.len();
        let values = |samples: &[(f64, f64)]| samples.iter().map(|(_, lag)| *lag).collect::<Vec<f64>>();
        let (mut scheduled, mut yielded) = (values(&lags), values(&yields));
        let (by_schedule, by_yield) = (Spread::of(&mut scheduled), Spread::of(&mut yielded));
        self.lag = if lags.is_empty() { by_yield } else { by_schedule };
        let curves = Arc::make_mut(&mut self.curves);
        curves.lags = Curve::of_sorted(&scheduled);
        curves.yields = Curve::of_sorted(&yielded);
        for samples in [&mut lags, &mut yields] {
            samples.retain(|(at, _)| at.is_finite());
            samples.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        }
        add_lag(&mut self.windows, &lags, &yields, self.length);
    }
}

/// Returns the digests that a recording has, and those of its rows.
pub(super) fn digests(recording: &Recording, length: f64) -> Digests<'_> {
    let mut chunks: HashMap<u32, ChunkRows> = HashMap::new();
    // Rows of one run are mostly adjacent, so they need one look-up.
    for rows in recording.chunks.chunk_by(|a, b| a.run == b.run) {
        let of_run = chunks.entry(rows[0].run).or_default();
        rows.iter().for_each(|chunk| of_run.add(chunk));
    }
    let mut digests: Digests<'_> =
        recording.digests.iter().map(|found| (found.run, Cow::Borrowed(found))).collect();
    digests.extend(chunks.into_iter().map(|(run, rows)| (run, Cow::Owned(RunDigest::of(run, rows, length)))));
    let mut lags: HashMap<u32, LagRows> = HashMap::new();
    for samples in recording.lag.chunk_by(|a, b| a.run == b.run) {
        let of_run = lags.entry(samples[0].run).or_default();
        samples.iter().for_each(|sample| of_run.add(sample));
    }
    for (run, rows) in lags {
        let empty = || Cow::Owned(RunDigest::of(run, ChunkRows::default(), length));
        digests.entry(run).or_insert_with(empty).to_mut().add_lag(rows);
    }
    digests
}
