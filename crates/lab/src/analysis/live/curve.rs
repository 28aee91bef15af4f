//! The rate of streams by the number of streams.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    super::{
        Recording,
        statistic::{Interval, t_quantile},
    },
    key::Key,
};

/// The blocks of time into which a recording is divided for intervals.
const BLOCKS: f64 = 30.0;
/// The shortest block, in seconds.
const SHORTEST: f64 = 1.0;
/// The smallest number of blocks with an interval.
pub(super) const NEEDED: usize = 10;
/// The smallest number of tokens with a rate.
const TOKENS: f64 = 20.0;

/// The rate with a number of streams at the Ollama.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Level {
    /// The number of streams that decoded, those of other models included.
    pub(crate) streams: u32,
    /// The time that streams of the group spent with this number, in seconds. Two streams for a second are two seconds.
    pub(crate) seconds: f64,
    /// Their tokens in this time.
    pub(crate) tokens: f64,
    /// Tokens per second of one stream.
    pub(crate) rate: f64,
    /// Its interval. `None`: this number occurred in fewer than ten blocks of time.
    pub(crate) interval: Option<Interval>,
    /// Tokens per second of all streams, if all are like those of the group.
    pub(crate) throughput: f64,
}

/// The time that streams spent with a number of streams, in one block of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) seconds: f64,
    /// Records, scaled to the tokens that Ollama counted.
    pub(super) tokens: f64,
    pub(super) records: f64,
}

/// The time and the tokens of a group, by the number of streams and by block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RateCurve(BTreeMap<u32, BTreeMap<u64, Cell>>);

impl RateCurve {
    /// Divides the time between two chunks of a stream by the number of streams at both chunks, in equal halves. `place`
    /// returns the group of a stream and the tokens of one record. Each recording has blocks of its own.
    pub(super) fn all<'a>(
        recording: &Recording,
        place: impl Fn(u32, u32) -> Option<(Key<'a>, f64)>,
    ) -> HashMap<Key<'a>, RateCurve> {
        let mut extents: HashMap<u32, (f64, f64)> = HashMap::new();
        for chunk in &recording.chunks {
            let (first, last) = extents.entry(chunk.run).or_insert((chunk.at, chunk.at));
            (*first, *last) = (first.min(chunk.at), last.max(chunk.at));
        }
        let mut curves: HashMap<Key<'a>, RateCurve> = HashMap::new();
        let mut before: HashMap<(u32, u32), u32> = HashMap::new();
        for chunk in &recording.chunks {
            let Some((key, scale)) = place(chunk.run, chunk.agent) else { continue };
            let earlier = before.insert((chunk.run, chunk.agent), chunk.streams);
            let known = chunk.gap.is_finite() && chunk.gap >= 0.0 && chunk.streams > 0;
            let Some(earlier) = earlier.filter(|earlier| known && *earlier > 0) else { continue };
            let (first, last) = extents[&chunk.run];
            let block = ((last - first) / BLOCKS).max(SHORTEST);
            let number = ((chunk.at - first) / block).max(0.0) as u64;
            for streams in [earlier, chunk.streams] {
                let cell = curves.entry(key).or_default().0.entry(streams).or_default().entry(number);
                let cell = cell.or_default();
                cell.seconds += 0.5 * chunk.gap;
                cell.records += 0.5 * f64::from(chunk.records);
                cell.tokens += 0.5 * f64::from(chunk.records) * scale;
            }
        }
        curves
    }

    /// Returns the rate with each number of streams that occurred often enough.
    pub(super) fn levels(&self, level: f64) -> Vec<Level> {
        Level::all(&self.0, level)
    }

    /// Returns the blocks of each number of streams.
    #[cfg(feature = "experiment")]
    pub(super) fn cells(&self) -> &BTreeMap<u32, BTreeMap<u64, Cell>> {
        &self.0
    }

    /// Returns the rate of a stream that decodes alone.
    pub(super) fn alone(&self) -> Option<f64> {
        let cells = self.0.get(&1)?;
        let seconds: f64 = cells.values().map(|cell| cell.seconds).sum();
        let tokens: f64 = cells.values().map(|cell| cell.tokens).sum();
        (tokens >= TOKENS && seconds > 0.0).then(|| tokens / seconds)
    }

    /// Returns the numbers of streams and the rates of all streams, one pair for each block with enough tokens.
    pub(super) fn points(&self) -> (Vec<f64>, Vec<f64>) {
        let of = |(streams, cells): (&u32, &BTreeMap<u64, Cell>)| {
            let streams = f64::from(*streams);
            let enough = cells.values().filter(|cell| cell.tokens >= TOKENS && cell.seconds > 0.0);
            enough.map(|cell| (streams, streams * cell.tokens / cell.seconds)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).unzip()
    }
}

impl Level {
    /// Returns the rate with each number of streams that has enough tokens.
    pub(super) fn all(cells: &BTreeMap<u32, BTreeMap<u64, Cell>>, level: f64) -> Vec<Level> {
        let of = |(streams, cells): (&u32, &BTreeMap<u64, Cell>)| {
            let seconds: f64 = cells.values().map(|cell| cell.seconds).sum();
            let tokens: f64 = cells.values().map(|cell| cell.tokens).sum();
            let rate = tokens / seconds;
            (tokens >= TOKENS && seconds > 0.0).then(|| Level {
                streams: *streams,
                seconds,
                tokens,
                rate,
                interval: interval(cells, rate, seconds, level),
                throughput: f64::from(*streams) * rate,
            })
        };
        cells.iter().filter_map(of).collect()
    }
}

/// Returns the interval of a ratio of sums over blocks, by the linearised variance of a ratio (Cochran, "Sampling
/// Techniques", 6.3) and Student's t.
fn interval(cells: &BTreeMap<u64, Cell>, rate: f64, seconds: f64, level: f64) -> Option<Interval> {
    let blocks = cells.len();
    if blocks < NEEDED {
        return None;
    }
    let squares: f64 = cells.values().map(|cell| (cell.tokens - rate * cell.seconds).powi(2)).sum();
    let variance = squares * blocks as f64 / (blocks - 1) as f64 / (seconds * seconds);
    let margin = t_quantile(0.5 + 0.5 * level, (blocks - 1) as f64) * variance.sqrt();
    Some(Interval { low: (rate - margin).max(0.0), ..Interval::around(rate, margin, level) })
}
