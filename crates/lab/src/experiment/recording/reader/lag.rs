//! `loop_lag.csv`, of this program and of TR117 (2.2).

use super::{
    super::{decimal::Unit, layout::LAG},
    ONLY_RUN, Reading,
    column::{Header, whole},
    table::{self, wrong},
};
use crate::analysis::{LagSample, Probe, Recording};

pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
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
        recording.lag.push(LagSample {
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
