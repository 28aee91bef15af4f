//! `loop_lag.csv`, of this program and of TR117 (2.2).

use std::collections::HashMap;

use super::{
    super::{decimal::Unit, layout::LAG},
    ONLY_RUN, Reading,
    by_run::ByRun,
    column::{Header, whole},
    table::{self, wrong},
};
use crate::analysis::{ChunkRows, LagRows, LagSample, Probe, Recording, RunDigest};

/// Reads the samples as rows or, if the recording is to be reduced, adds them to the digest of each run.
pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
    let Some(window) = reading.window else {
        return rows(reading, &mut |sample| recording.lag.push(sample));
    };
    let before = reading.problems.clone();
    if by_run(reading, recording, window, false) {
        // As for chunks. The lag of a run replaces what was added of it.
        reading.problems = before;
        by_run(reading, recording, window, true);
    }
}

/// Adds the lag of each run to its digest, as for chunks. Returns whether a run had more rows after its end.
fn by_run(reading: &mut Reading<'_>, recording: &mut Recording, window: f64, hold: bool) -> bool {
    let mut places: HashMap<u32, usize> =
        recording.digests.iter().zip(0..).map(|(digest, place)| (digest.run, place)).collect();
    let digests = &mut recording.digests;
    let mut add = |run: u32, rows: LagRows| {
        let place = *places.entry(run).or_insert_with(|| {
            digests.push(RunDigest::of(run, ChunkRows::default(), window));
            digests.len() - 1
        });
        digests[place].add_lag(rows);
    };
    let mut runs: ByRun<LagRows> = ByRun::new(hold);
    rows(reading, &mut |sample| {
        if let Some(of_run) = runs.rows(sample.run, &mut add) {
            of_run.add(&sample);
        }
    });
    let mixed = runs.mixed;
    runs.rest().for_each(|(run, rows)| add(run, rows));
    mixed
}

fn rows(reading: &mut Reading<'_>, emit: &mut dyn FnMut(LagSample)) {
    let columns = |header: &Header| {
        Ok((
            header.any(&["run", "run_id"]),
            (header.any(&["process"]), header.any(&["probe"])),
            header.time(&["timestamp"], Some(Unit::Seconds)).ok_or("it lacks the column timestamp")?,
            header.time(&["lag", "loop_lag"], None).ok_or("it lacks the column lag_ms")?,
        ))
    };
    table::read(reading, LAG, columns, |_, columns, row, _| {
        let (run, (process, probe), at, lag) = *columns;
        let number = |column: Option<usize>, name: &str, usual| match column {
            None => Ok(usual),
            Some(at) => whole(&row[at])
                .and_then(|value| u32::try_from(value).ok())
                .ok_or_else(|| wrong(name, row, at)),
        };
        let lag = lag.of(row).given().ok_or(("value", "lag is not a time".to_owned()))?;
        if lag < 0.0 {
            return Err(("backwards", "lag is below 0, as from a clock that goes backwards".into()));
        }
        emit(LagSample {
            run: number(run, "run", ONLY_RUN)?,
            process: number(process, "process", 0)?,
            probe: match probe.map(|at| &row[at]) {
                Some(b"schedule") => Probe::Schedule,
                // The file of TR117 has no such column.
                Some(b"yield") | None => Probe::Yield,
                Some(_) => return Err(wrong("probe", row, probe.unwrap_or_default())),
            },
            at: at.of(row).given().ok_or(("value", "timestamp is not a time".to_owned()))?,
            lag,
        });
        Ok(())
    });
}
