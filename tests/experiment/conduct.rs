//! An experiment from the plan to the report.

use std::collections::HashMap;

use streamgauge::{analysis::RunKind, experiment::recording::read};
use streamgauge_simulate::Config;

use super::ollama::{Place, assert_done, everything, simulator, streamgauge, text};

const CONDITIONS: &str = r#"
repetitions = 2
[[condition]]
name = "in-process"
count = 2
[[condition]]
name = "own-process"
count = 2
own_process = true
baseline = "in-process"
[[condition]]
name = "processes"
count = 2
processes = true
batch = "50ms"
baseline = "in-process"
[[condition]]
name = "sidecar"
count = 2
sidecar = { coalesce = "40ms", merge = true }
baseline = "in-process"
solo = false
"#;

#[test]
fn experiment_with_every_kind_of_agent_is_recorded_and_reported() {
    let url = simulator(Config { rate: 200.0, ..Config::default() });
    let place = Place::new(&url, 30, CONDITIONS);
    let output = place.run(&[]);
    assert_done(&output);
    // In a pipe it prints only the folder and the command that reads it.
    assert_eq!(text(&output.stderr), "");
    let folder = place.recording();
    assert_eq!(text(&output.stdout), format!("{0}: 14 runs\nstreamgauge report {0}\n", folder.display()));

    let recorded = read(&folder).unwrap();
    assert_eq!(recorded.problems, []);
    let recording = &recorded.recording;
    let mut runs: HashMap<(&str, bool), u32> = HashMap::new();
    for run in &recording.runs {
        *runs.entry((&run.condition, run.kind == RunKind::Solo)).or_default() += 1;
    }
    assert_eq!(runs.len(), 7);
    assert!(runs.values().all(|count| *count == 2), "{runs:?}");
    for agent in &recording.agents {
        assert_eq!((agent.failure.as_deref(), agent.tokens), (None, Some(30)));
        assert!(agent.first_token.is_some() && agent.cpu.is_some_and(|cpu| cpu > 0.0), "{agent:?}");
    }
    // Every record arrived on both connections.
    let condition =
        |run: u32| recording.runs.iter().find(|found| found.id == run).unwrap().condition.as_str();
    for agent in &recording.agents {
        let chunks =
            recording.chunks.iter().filter(|chunk| (chunk.run, chunk.agent) == (agent.run, agent.agent));
        let (count, records) =
            chunks.fold((0, 0), |(count, records), chunk| (count + 1, records + chunk.records));
        match condition(agent.run) {
            "sidecar" => assert!(count < 20 && records < 31, "{count} {records}"),
            "processes" => assert!(count < 20 && records == 31, "{count} {records}"),
            _ => assert_eq!(records, 31),
        }
    }
    // The agents of a run began together, including those of two processes.
    for run in &recording.runs {
        let starts: Vec<f64> =
            recording.agents.iter().filter(|agent| agent.run == run.id).map(|agent| agent.started).collect();
        let spread = starts.iter().fold(0.0_f64, |spread, start| spread.max((start - starts[0]).abs()));
        assert!(spread < 0.1, "{spread} s in {run:?}");
    }
    let sidecar = std::fs::read_to_string(folder.join("sidecar_metrics.csv")).unwrap();
    assert!(sidecar.contains("streamgauge_shaping_records_in_total"), "{sidecar}");
    let environment = recorded.environment.unwrap();
    assert_eq!(environment.upstreams["one"].models.len(), 1);
    assert!(environment.upstreams["one"].version.is_some());
    assert!(!everything(&folder).contains("nobody keeps"));

    let report = streamgauge(&["report", folder.to_str().unwrap(), "--full"]).output().unwrap();
    assert_done(&report);
    for part in ["in-process", "own-process", "sidecar", "try"] {
        assert!(text(&report.stdout).contains(part), "{part}");
    }
    let page = folder.join("page.html");
    let arguments =
        ["report", folder.to_str().unwrap(), "--format", "html", "--output", page.to_str().unwrap()];
    assert_done(&streamgauge(&arguments).output().unwrap());
    assert!(std::fs::read_to_string(page).unwrap().contains("</svg>"));
    let json = streamgauge(&["report", folder.to_str().unwrap(), "--format", "json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 14);
}

#[test]
fn dry_run_prints_schedule_and_sends_no_request() {
    let place = Place::new(
        "http://127.0.0.1:1",
        100,
        "repetitions = 3\nexpected_rate = 50\n[[condition]]\nname = \"pair\"\ncount = 2\n",
    );
    let output = place.run(&["--dry-run", "--repetitions", "2", "--seed", "5"]);
    assert_done(&output);
    let shown = text(&output.stdout);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 6, "{shown}");
    assert_eq!(lines.iter().filter(|line| line.contains("together  2 × writer")).count(), 2, "{shown}");
    assert_eq!(lines.iter().filter(|line| line.contains("solo      writer")).count(), 2, "{shown}");
    assert!(
        lines[5].starts_with("4 runs, about 8s if every stream generates 50 tokens per second"),
        "{shown}"
    );
    assert_eq!(place.run(&["--dry-run", "--repetitions", "2", "--seed", "5"]).stdout, output.stdout);
    assert!(!place.recording().exists());
}

#[test]
fn response_text_is_recorded_only_if_requested() {
    let url = simulator(Config { rate: 0.0, ..Config::default() });
    let place = Place::new(
        &url,
        3,
        "repetitions = 1\nkeep_text = true\n[[condition]]\nname = \"alone\"\nsolo = false\n",
    );
    assert_done(&place.run(&[]));
    let everything = everything(&place.recording());
    assert!(everything.contains("nobody keeps"));
    let texts = std::fs::read_to_string(place.recording().join("texts.csv")).unwrap();
    assert_eq!(texts.lines().count(), 2, "{texts}");
}

#[test]
fn bundled_plan_is_listed_written_and_valid() {
    let listed = text(&streamgauge(&["experiment", "list"]).output().unwrap().stdout);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["quick", "tr117-phase1", "tr117-phase3", "mitigations", "scaling", "buffers", "load"]);
    let shortest = text(&streamgauge(&["experiment", "init"]).output().unwrap().stdout);
    assert!(shortest.contains("name = \"quick\""), "{shortest}");
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let file = folder.path().join(format!("{name}.toml"));
        let file = file.to_str().unwrap();
        assert_done(&streamgauge(&["experiment", "init", name, "--output", file]).output().unwrap());
        let by_file = streamgauge(&["experiment", "run", file, "--dry-run"]).output().unwrap();
        let by_name = streamgauge(&["experiment", "run", name, "--dry-run"]).output().unwrap();
        assert_done(&by_file);
        assert_eq!(by_file.stdout, by_name.stdout);
        // The folder exists already.
        let again = streamgauge(&["experiment", "init", name, "--output", file]).output().unwrap();
        assert_eq!(again.status.code(), Some(1), "{}", text(&again.stderr));
    }
}

#[test]
fn failed_agent_is_reported_and_experiment_continues() {
    let faults = "truncate=0.3,reset=0.2".parse().unwrap();
    let url = simulator(Config { rate: 500.0, faults, seed: 3, ..Config::default() });
    let place = Place::new(&url, 20, "repetitions = 4\n[[condition]]\nname = \"pair\"\ncount = 2\n");
    let output = place.run(&[]);
    assert_done(&output);
    assert!(text(&output.stdout).contains(" of them with a failure"), "{}", text(&output.stdout));
    let recorded = read(&place.recording()).unwrap();
    let failures = recorded.recording.agents.iter().filter_map(|agent| agent.failure.as_deref());
    assert!(failures.clone().any(|failure| failure == "the stream ended without its final record"));
    let shown = text(
        &streamgauge(&["report", place.recording().to_str().unwrap(), "--full"]).output().unwrap().stdout,
    );
    assert!(shown.contains("counts as failed: agent"), "{shown}");
}

#[test]
fn sidecar_of_experiment_ignores_environment_and_follows_plan() {
    let url = simulator(Config { rate: 0.0, ..Config::default() });
    let plan = "repetitions = 1\n[[condition]]\nname = \"through\"\nsidecar = {}\nsolo = false\n";
    let place = Place::new(&url, 3, plan);
    // With this variable it would not start.
    let variable = ("STREAMGAUGE_PROXY__MAX_HEAD", "nonsense");
    assert_done(&place.command(&[]).envs([variable]).output().unwrap());
}
