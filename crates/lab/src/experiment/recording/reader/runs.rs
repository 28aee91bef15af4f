//! `runs.csv`.

use std::collections::HashSet;

use super::{
    super::{decimal::Unit, layout::RUNS},
    Reading,
    column::{Value, text, whole},
    table::{self, wrong},
};
use crate::analysis::{Recording, Run, RunKind};

pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
    let mut seen = HashSet::new();
    let columns = |header: &super::column::Header| {
        let need = |name: &str| header.any(&[name]).ok_or_else(|| format!("it lacks the column {name}"));
        Ok((
            (need("run")?, need("condition")?, need("kind")?),
            header.any(&["warm_up"]),
            header.time(&["timestamp", "started"], Some(Unit::Seconds)),
            header.time(&["wall", "wall_time"], None),
            (header.any(&["agents"]), header.any(&["repetition"])),
        ))
    };
    table::read(reading, RUNS, columns, |_, columns, row, _| {
        let ((run, condition, kind), warm_up, started, wall, (agents, repetition)) = *columns;
        let id =
            whole(&row[run]).and_then(|id| u32::try_from(id).ok()).ok_or_else(|| wrong("run", row, run))?;
        if !seen.insert(id) {
            return Err(("twice", format!("run {id} occurs twice")));
        }
        let kind = match &row[kind] {
            b"solo" => RunKind::Solo,
            b"together" => RunKind::Together,
            b"open" => RunKind::Open,
            _ => return Err(wrong("kind", row, kind)),
        };
        let count = |column: Option<usize>| column.and_then(|at| u32::try_from(whole(&row[at])?).ok());
        let wall = wall.map_or(Value::Absent, |wall| wall.of(row));
        if wall.given().is_some_and(|wall| wall <= 0.0) || wall == Value::Wrong {
            return Err(("value", format!("run {id} has an invalid wall time")));
        }
        recording.runs.push(Run {
            id,
            condition: text(&row[condition]),
            kind,
            warm_up: warm_up.is_some_and(|at| &row[at] == b"true" || &row[at] == b"1"),
            started: started.and_then(|started| started.of(row).given()).unwrap_or(0.0),
            wall: wall.given(),
            joules: None,
            agents: count(agents),
            repetition: count(repetition),
        });
        Ok(())
    });
}
