//! Values and names that are odd, and still read as what they are.

use std::fs;

use tempfile::TempDir;

use super::{PLAN, assert_problem, edit, layout, written};
use crate::experiment::{
    Plan,
    recording::{AgentRow, Environment, RunRow, Writer, finished, read},
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
fn quote_that_does_not_end_names_its_row_and_leaves_out_the_rest_of_the_file() {
    // In the last column the row has as many fields as the header, though it contains the following rows.
    for (file, line) in [(layout::RUNS, 2), (layout::CHUNKS, 5), (layout::AGENTS, 3)] {
        let (folder, _) = written();
        edit(folder.path(), file, |text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let (before, last) = lines[line - 1].rsplit_once(',').unwrap();
            lines[line - 1] = format!("{before},\"{last}");
            lines.join("\n") + "\n"
        });
        let expected = format!("{file}:{line}: a quote begins in this row and does not end");
        assert_problem(&read(folder.path()).unwrap(), &expected);
    }
}

#[test]
fn missing_or_broken_environment_is_said_with_what_is_not_known() {
    let (folder, _) = written();
    fs::write(folder.path().join(layout::ENVIRONMENT), "{\"format\": 3,").unwrap();
    let unknown =
        "environment.json: the machine and the versions are not known without it, nor whether a simulated";
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "environment.json:1: it cannot be read");
    assert_problem(&recorded, unknown);
    fs::remove_file(folder.path().join(layout::ENVIRONMENT)).unwrap();
    assert_problem(&read(folder.path()).unwrap(), unknown);
}

#[test]
fn count_or_time_of_an_agent_that_is_no_number_leaves_out_its_run() {
    for (column, value) in [("eval_count", "abc"), ("ttft_ms", "1,5"), ("eval_duration_ns", "inf")] {
        let (folder, _) = written();
        edit(folder.path(), layout::AGENTS, |text| {
            let place = text.lines().next().unwrap().split(',').position(|name| name == column).unwrap();
            let mut lines: Vec<Vec<String>> =
                text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
            lines[1][place] = format!("\"{value}\"");
            lines.iter().map(|fields| fields.join(",") + "\n").collect()
        });
        let recorded = read(folder.path()).unwrap();
        let name = column.trim_end_matches("_ms").trim_end_matches("_ns");
        assert_problem(&recorded, &format!("agents.csv:2: {name} is {value:?}, which is not valid"));
        let analysis = crate::analysis::analyse(&recorded.recording, &crate::analysis::Settings::default());
        let left_out = "run 0 is left out: it has 1 agent, and 2 took part";
        assert!(analysis.notes.iter().any(|note| note == left_out), "{:?}", analysis.notes);
    }
}

#[test]
fn plan_that_is_no_text_is_not_said_to_be_missing() {
    let (folder, _) = written();
    fs::write(folder.path().join(layout::PLAN), b"name = \"\xff\"\n").unwrap();
    assert_problem(&read(folder.path()).unwrap(), "plan.toml: it cannot be read, and the first condition");
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

#[test]
fn clock_that_ntp_sets_forward_is_named_and_its_step_undone() {
    let (folder, recording) = written();
    // An hour is added to the timestamps of run 1, after the first chunk of its second agent.
    edit(folder.path(), layout::CHUNKS, |text| {
        let lines = text.lines().enumerate().map(|(place, line)| match place {
            11.. => line.replacen(",10.", ",3610.", 1),
            _ => line.to_owned(),
        });
        lines.map(|line| line + "\n").collect()
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv: the clock jumps forward by 3600.0 s at agent 1 of run 1");
    for (read, written) in recorded.recording.chunks.iter().zip(&recording.chunks) {
        assert!((read.at - written.at).abs() < 1e-6, "{read:?} {written:?}");
    }
}

#[test]
fn file_that_is_cut_inside_a_quoted_name_loses_only_that_row() {
    let (folder, recording) = written();
    edit(folder.path(), layout::AGENTS, |text| {
        let last = text.trim_end().rfind('\n').unwrap();
        format!("{}1,1,\"wri\nter", &text[..=last])
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "agents.csv:5: a quote begins in this row and does not end");
    assert_eq!(recorded.recording.agents.len(), recording.agents.len() - 1);
    let analysis = crate::analysis::analyse(&recorded.recording, &crate::analysis::Settings::default());
    assert!(analysis.notes.iter().any(|note| note == "run 1 is left out: it has 1 agent, and 2 took part"));
}

#[test]
fn recording_of_a_newer_version_is_read_and_said_to_be_newer() {
    let (folder, recording) = written();
    edit(folder.path(), layout::ENVIRONMENT, |text| text.replace("\"format\": 3", "\"format\": 9"));
    edit(folder.path(), layout::LAG, |text| {
        text.lines().zip(["new", "1", "2"]).map(|(line, more)| format!("{line},{more}\n")).collect()
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "environment.json: it has format 9, and this version reads formats up to 3");
    assert_eq!(recorded.recording.lag, recording.lag);
}

#[test]
fn recording_of_an_older_version_is_read_and_not_continued() {
    let (folder, recording) = written();
    edit(folder.path(), layout::ENVIRONMENT, |text| text.replace("\"format\": 3", "\"format\": 1"));
    // Version 1 had no scheduled times.
    edit(folder.path(), layout::AGENTS, |text| {
        let without = |line: &str| {
            let mut fields: Vec<&str> = line.split(',').collect();
            fields.remove(5);
            fields.join(",") + "\n"
        };
        text.lines().map(without).collect()
    });
    let recorded = read(folder.path()).unwrap();
    assert_eq!(recorded.problems, []);
    assert_eq!(recorded.recording.agents.len(), recording.agents.len());
    assert!(
        recorded.recording.agents.iter().all(|agent| agent.scheduled.is_none() && agent.tokens == Some(8))
    );
    let error = finished(folder.path(), &PLAN.parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("has format 1, and this version of streamgauge writes format 3"), "{error}");
}
