//! `chunk_metrics.csv`, of this program and of TR117 (2.2, appendix B).

use std::collections::HashMap;

use csv::ByteRecord;

use super::{
    super::{decimal::Unit, layout::CHUNKS},
    ONLY_RUN, Reading,
    by_run::ByRun,
    chunk_times::ChunkTimes,
    column::{Header, Time, Value, whole},
    table::{self, Fault, wrong},
};
use crate::analysis::{Chunk, ChunkRows, Recording, RunDigest};

struct ChunkColumns {
    run: Option<usize>,
    agent: Option<usize>,
    index: Option<usize>,
    at: Time,
    bytes: usize,
    records: Option<usize>,
    gap: Option<Time>,
    parse: Option<Time>,
    streams: Option<usize>,
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
            streams: header.any(&["streams"]),
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

/// Reads the chunks as rows or, if the recording is to be reduced, as a digest of each run.
pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
    let Some(window) = reading.window else {
        return rows(reading, &mut |chunk| recording.chunks.push(chunk));
    };
    let before = reading.problems.clone();
    let mut mixed = by_run(reading, recording, window, false);
    if mixed {
        // The rows of a run are not together, so no run has ended before the file.
        reading.problems = before;
        mixed = by_run(reading, recording, window, true);
    }
    debug_assert!(!mixed, "no run ends while all are held");
}

/// Reduces the chunks of each run. With `hold`, each run lasts until the end of the file. Returns whether a run had more
/// rows after its end.
fn by_run(reading: &mut Reading<'_>, recording: &mut Recording, window: f64, hold: bool) -> bool {
    let mut runs: ByRun<ChunkRows> = ByRun::new(hold);
    let mut digests = Vec::new();
    rows(reading, &mut |chunk| {
        let of_run = runs.rows(chunk.run, |run, rows| digests.push(RunDigest::of(run, rows, window)));
        if let Some(of_run) = of_run {
            of_run.add(&chunk);
        }
    });
    let mixed = runs.mixed;
    digests.extend(runs.rest().map(|(run, rows)| RunDigest::of(run, rows, window)));
    recording.digests = digests;
    mixed
}

fn rows(reading: &mut Reading<'_>, emit: &mut dyn FnMut(Chunk)) {
    // The last arrival of each agent. Most rows have the same agent as the row before.
    let mut last: HashMap<(u32, u32), f64> = HashMap::new();
    let mut unit = None;
    let (mut count, mut times) = (Count::default(), ChunkTimes::default());
    table::read(reading, CHUNKS, ChunkColumns::of, |reading, columns, row, line| {
        unit = columns.gap.map(Time::unit);
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
        let chunk = Chunk {
            run,
            agent,
            at,
            bytes,
            records: columns.records.and_then(|at| whole(&row[at])).unwrap_or(0) as u32,
            gap: columns.gap(row, since)?,
            parse: columns.parse.and_then(|parse| parse.of(row).given()).unwrap_or(f64::NAN),
            streams: columns.streams.and_then(|at| whole(&row[at])).unwrap_or(0) as u32,
        };
        times.take(reading, chunk, since, unit, emit);
        Ok(())
    });
    times.finish(reading, unit, emit);
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
