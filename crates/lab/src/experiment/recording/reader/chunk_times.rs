//! Corrects the times of chunks: gaps in another unit than their column states, and steps of the clock.

use std::collections::HashMap;

use super::{super::layout::CHUNKS, Reading};
use crate::analysis::{Chunk, statistic::percentile};

/// If the gaps of a file differ from those of its timestamps by more than this factor, their unit is doubtful.
const DOUBT: f64 = 30.0;
/// If the time between two chunks is longer than their gap by more than this, in seconds, the clock was set.
const STEP: f64 = 1.0;
/// The number of gaps that decide about the unit.
const GAPS: usize = 1000;
/// The number of chunks after which the gaps that were seen have to suffice.
const HELD: usize = 1 << 16;

/// Passes on chunks in their order, with corrected times.
#[derive(Default)]
pub(super) struct ChunkTimes {
    /// The first gaps, and the same gaps by the timestamps.
    given: Vec<f64>,
    seen: Vec<f64>,
    /// The chunks that wait for the decision about the unit.
    held: Vec<Chunk>,
    trusted: Option<Trusted>,
    /// The last arrival of each agent of each run.
    last: HashMap<(u32, u32), f64>,
    /// By how much the clock was set forward.
    ahead: f64,
}

/// Where the gaps come from.
#[derive(Clone, Copy, PartialEq)]
enum Trusted {
    Gaps,
    Timestamps,
}

impl ChunkTimes {
    /// Takes a chunk. `since` is the time since the agent's previous chunk, and `unit` that of the column of gaps.
    pub(super) fn take(
        &mut self,
        reading: &mut Reading<'_>,
        chunk: Chunk,
        since: Option<f64>,
        unit: Option<&str>,
        emit: &mut dyn FnMut(Chunk),
    ) {
        if self.trusted.is_some() {
            return emit(self.corrected(reading, chunk));
        }
        self.held.push(chunk);
        if let Some(since) = since.filter(|since| *since > 0.0)
            && chunk.gap > 0.0
        {
            self.given.push(chunk.gap);
            self.seen.push(since);
        }
        if self.given.len() == GAPS || self.held.len() == HELD {
            self.finish(reading, unit, emit);
        }
    }

    /// Decides about the unit, if that is not decided, and passes on the chunks that waited for it.
    pub(super) fn finish(
        &mut self,
        reading: &mut Reading<'_>,
        unit: Option<&str>,
        emit: &mut dyn FnMut(Chunk),
    ) {
        if self.trusted.is_some() {
            return;
        }
        let ratio = median(&self.given) / median(&self.seen);
        let doubtful = ratio.is_finite() && !(1.0 / DOUBT..DOUBT).contains(&ratio);
        self.trusted = Some(Trusted::Gaps);
        if let Some(unit) = unit.filter(|_| doubtful) {
            self.trusted = Some(Trusted::Timestamps);
            reading.problems.say(CHUNKS, Some(1), "unit", || {
                format!(
                    "gaps are {ratio:.3} times those of the timestamps, so they are not in {unit}: they are \
                     calculated from the timestamps"
                )
            });
        }
        for chunk in std::mem::take(&mut self.held) {
            emit(self.corrected(reading, chunk));
        }
    }

    fn corrected(&mut self, reading: &mut Reading<'_>, mut chunk: Chunk) -> Chunk {
        let key = (chunk.run, chunk.agent);
        if self.trusted == Some(Trusted::Timestamps) {
            let since = self.last.insert(key, chunk.at).map(|before| chunk.at - before);
            chunk.gap = since.filter(|since| *since >= 0.0).unwrap_or(f64::NAN);
            return chunk;
        }
        // A wall clock that NTP sets: the time since the previous chunk is longer than the gap, which another clock
        // measured. The later timestamps are moved back by the difference.
        chunk.at -= self.ahead;
        let since = self.last.get(&key).map(|before| chunk.at - before);
        let step = since.map_or(f64::NAN, |since| since - chunk.gap);
        if step > STEP {
            let (run, agent, gap) = (chunk.run, chunk.agent, chunk.gap);
            reading.problems.say(CHUNKS, None, "clock", || {
                format!(
                    "the clock jumps forward by {step:.1} s at agent {agent} of run {run}, whose gap is {gap:.3} s: the \
                     later timestamps are moved back"
                )
            });
            self.ahead += step;
            chunk.at -= step;
        }
        self.last.insert(key, chunk.at);
        chunk
    }
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5).unwrap_or(f64::NAN)
}
