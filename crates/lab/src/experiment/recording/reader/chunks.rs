//! `chunk_metrics.csv`, of this program and of TR117 (2.2, appendix B).

use std::collections::HashMap;

use csv::ByteRecord;

use super::{
    super::{decimal::Unit, layout::CHUNKS},
    ONLY_RUN, Reading,
    column::{Header, Time, Value, whole},
    table::{self, Fault, wrong},
};
use crate::analysis::{Chunk, Recording, statistic::percentile};

/// If the gaps of a file differ from those of its timestamps by more than this factor, their unit is doubtful.
const DOUBT: f64 = 30.0;
/// If the time between two chunks is longer than their gap by more than this, in seconds, the clock was set.
const STEP: f64 = 1.0;

struct ChunkColumns {
    run: Option<usize>,
    agent: Option<usize>,
    index: Option<usize>,
    at: Time,
    bytes: usize,
    records: Option<usize>,
    gap: Option<Time>,
    parse: Option<Time>,
}

impl ChunkColumns {
    fn of(header: &Header) -> Result<ChunkColumns, String> {
        Ok(ChunkColumns {
            run: header.any(&["run", "run_id"]),
            agent: header.any(&["agent_id", "agent"]),
            index: header.any(&["chunk_index"]),
            at: header.time(&["timestamp"], Some(Unit::Seconds)).ok_or("it lacks the column timestamp")?,
            bytes: header.any(&["bytes", "chunk_size", "size"]).ok_or("it lacks the column bytes")?,
            records: header.any(&["records"]),
            // The gaps of TR117 are in milliseconds, even if the column's name has no unit.
            gap: header.time(&["gap", "inter_chunk_gap"], Some(Unit::Milliseconds)),
            parse: header.time(&["parse", "parse_time"], Some(Unit::Milliseconds)),
        })
    }

    /// Returns the run of a row. `count` tells the runs apart if the file does not name them.
    fn run(&self, row: &ByteRecord, agent: u32, count: &mut Count) -> Result<u32, Fault> {
        match (self.run, self.index) {
            (None, None) => Ok(ONLY_RUN),
            (None, Some(at)) => {
                let index = whole(&row[at]).ok_or_else(|| wrong("chunk_index", row, at))?;
                Ok(count.run_of(agent, index))
            }
            (Some(at), _) => {
                let run = whole(&row[at]).and_then(|run| u32::try_from(run).ok());
                run.ok_or_else(|| wrong("run", row, at))
            }
        }
    }

    /// Returns the gap of a row, or NaN if there is none. `since` is the time since the agent's previous row.
    fn gap(&self, row: &ByteRecord, since: Option<f64>) -> Result<f64, Fault> {
        let gap = match self.gap.map_or(Value::Absent, |gap| gap.of(row)) {
            Value::Given(gap) => gap,
            Value::Absent if self.gap.is_some() => f64::NAN,
            // Without a column of gaps, they come from the timestamps.
            Value::Absent => since.unwrap_or(f64::NAN),
            Value::Wrong => return Err(("value", "the gap is not a time".into())),
        };
        // If the file has an index, the first gap of a run is the time since the previous run.
        let first = since.is_none() && self.index.is_some();
        let unknown = gap < 0.0 || first || since.is_some_and(|since| since < 0.0);
        Ok(if unknown { f64::NAN } else { gap })
    }
}

pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
    // The last arrival of each agent. Most rows have the same agent as the row before.
    let mut last: HashMap<(u32, u32), f64> = HashMap::new();
    let (mut given, mut seen) = (Vec::new(), Vec::new());
    let mut gap_unit = None;
    let mut count = Count::default();
    let chunks = &mut recording.chunks;
    table::read(reading, CHUNKS, ChunkColumns::of, |reading, columns, row, line| {
        gap_unit = columns.gap.map(Time::unit);
        let agent = columns.agent.map_or(0, |at| reading.agent(&row[at]));
        let run = columns.run(row, agent, &mut count)?;
        let at = columns.at.of(row).given().ok_or(("value", "timestamp is not a time".to_owned()))?;
        let bytes = whole(&row[columns.bytes]).and_then(|bytes| u32::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| wrong("bytes", row, columns.bytes))?;
        let since = last.insert((run, agent), at).map(|before| at - before);
        if since.is_some_and(|since| since < 0.0) {
            reading.problems.say(CHUNKS, Some(line), "backwards", || {
                format!("the clock of agent {agent} of run {run} goes backwards; the gap is left out")
            });
        }
        let gap = columns.gap(row, since)?;
        if let Some(since) = since.filter(|since| *since > 0.0)
            && gap > 0.0
            && given.len() < 1000
        {
            given.push(gap);
            seen.push(since);
        }
        chunks.push(Chunk {
            run,
            agent,
            at,
            bytes,
            records: columns.records.and_then(|at| whole(&row[at])).unwrap_or(0) as u32,
            gap,
            parse: columns.parse.and_then(|parse| parse.of(row).given()).unwrap_or(f64::NAN),
        });
        Ok(())
    });
    let ratio = median(&given) / median(&seen);
    if let Some(unit) = gap_unit.filter(|_| ratio.is_finite() && !(1.0 / DOUBT..DOUBT).contains(&ratio)) {
        reading.problems.say(CHUNKS, Some(1), "unit", || {
            format!(
                "gaps are {ratio:.3} times those of the timestamps, so they are not in {unit}: they are calculated \
                 from the timestamps"
            )
        });
        from_timestamps(&mut recording.chunks);
    } else {
        undo_steps(reading, &mut recording.chunks);
    }
}

/// Undoes steps of the clock, as of a wall clock that NTP sets: there, the time since the previous chunk is longer than the
/// gap, which another clock measured. The later timestamps are moved back by the difference.
fn undo_steps(reading: &mut Reading<'_>, chunks: &mut [Chunk]) {
    let mut last: HashMap<(u32, u32), f64> = HashMap::new();
    let mut ahead = 0.0;
    for chunk in chunks {
        chunk.at -= ahead;
        let since = last.get(&(chunk.run, chunk.agent)).map(|before| chunk.at - before);
        let step = since.map_or(f64::NAN, |since| since - chunk.gap);
        if step > STEP {
            let (run, agent, gap) = (chunk.run, chunk.agent, chunk.gap);
            reading.problems.say(CHUNKS, None, "clock", || {
                format!(
                    "the clock jumps forward by {step:.1} s at agent {agent} of run {run}, whose gap is {gap:.3} s: the \
                     later timestamps are moved back"
                )
            });
            ahead += step;
            chunk.at -= step;
        }
        last.insert((chunk.run, chunk.agent), chunk.at);
    }
}

/// Numbers the runs of a file that does not name them. A new run begins where the index of an agent does not increase.
#[derive(Default)]
struct Count {
    run: u32,
    last: HashMap<u32, u64>,
}

impl Count {
    fn run_of(&mut self, agent: u32, index: u64) -> u32 {
        if self.last.get(&agent).is_some_and(|last| index <= *last) {
            self.run += 1;
            self.last.clear();
        }
        self.last.insert(agent, index);
        self.run
    }
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5).unwrap_or(f64::NAN)
}

fn from_timestamps(chunks: &mut [Chunk]) {
    let mut last: HashMap<(u32, u32), f64> = HashMap::new();
    for chunk in chunks {
        let since = last.insert((chunk.run, chunk.agent), chunk.at).map(|before| chunk.at - before);
        chunk.gap = since.filter(|since| *since >= 0.0).unwrap_or(f64::NAN);
    }
}
