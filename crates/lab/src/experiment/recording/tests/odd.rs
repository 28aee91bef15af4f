//! Values and names that are odd, and still read as what they are.

use std::fs;

use tempfile::TempDir;

use super::{PLAN, assert_problem, edit, layout, written};
use crate::experiment::{
    Plan,
    recording::{AgentRow, Environment, RunRow, Writer, read},
};

#[test]
fn nan_is_named_with_its_line_and_counts_as_missing() {
    let (folder, _) = written();
    edit(folder.path(), layout::CHUNKS, |text| {
        text.replacen(",100,", ",NaN,", 2).replacen(",NaN,", ",100,", 1)
    });
    edit(folder.path(), layout::AGENTS, |text| text.replacen("1.25", "nan", 1));
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "agents.csv:2: duration_s is NaN: it is treated as missing");
    assert_problem(&recorded, "agents.csv:2: agent 0 of run 0 has no duration");
    assert_problem(&recorded, "chunk_metrics.csv:3:");
    let analysis = crate::analysis::analyse(&recorded.recording, &crate::analysis::Settings::default());
    let left_out = "run 0 is left out: it has 1 agent, and 2 took part";
    assert!(analysis.notes.iter().any(|note| note == left_out), "{:?}", analysis.notes);
}

#[test]
fn names_with_commas_and_quotes_come_back_as_they_were() {
    let folder = TempDir::new().unwrap();
    let text = PLAN.replace("\"rust\"", "'a, \"b\"'");
    let named: Plan = text.parse().unwrap();
    let mut writer = Writer::create(folder.path(), &named, &Environment::default()).unwrap();
    let name = named.conditions[0].name.clone();
    assert!(name.contains(", \""), "{name}");
    let mut row = RunRow::default();
    (row.run.condition, row.run.wall) = (name.clone(), Some(1.0));
    let mut agent = AgentRow::default();
    (agent.agent.duration, agent.agent.failure) = (1.0, Some("\"a\", b\nc".into()));
    row.agents.push(agent);
    writer.run(&row).unwrap();
    drop(writer);
    let recorded = read(folder.path()).unwrap();
    assert_eq!(recorded.recording.runs[0].condition, name);
    assert_eq!(recorded.recording.agents[0].failure.as_deref(), Some("\"a\", b\nc"));
    assert!(recorded.recording.conditions.iter().any(|condition| condition.name == name));
}

#[test]
fn missing_file_is_said_with_what_the_report_lacks() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(layout::GPU), "timestamp,power.draw [W]\n1,100\n").unwrap();
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "runs.csv: it is missing: no run is known");
    assert_eq!(recorded.recording.gpu[0].at, 0.0);
    assert!(recorded.problems.iter().all(|problem| !problem.what.contains("the time of their chunks")));
}
