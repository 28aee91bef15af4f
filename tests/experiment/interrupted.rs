//! Experiments that are interrupted, killed and resumed.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use streamgauge::experiment::recording::read;
use streamgauge_simulate::Config;

use super::{
    ollama::{Place, assert_done, simulator, text},
    wait::until,
};

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn start(place: &Place) -> Child {
    place.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn interrupted_experiment_resumes() {
    let url = simulator(Config { rate: 200.0, ..Config::default() });
    let place = Place::new(&url, 30, "repetitions = 3\n[[condition]]\nname = \"pair\"\ncount = 2\n");
    let child = start(&place);
    let runs = place.recording().join("runs.csv");
    until("two runs", || lines(&runs) >= 3);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("error: interrupted: ") && said.contains("--resume"), "{said}");
    let before = read(&place.recording()).unwrap();
    assert!(before.recording.runs.len() < 6, "it was over before it could be interrupted");

    assert_done(&place.run(&["--resume"]));
    let after = read(&place.recording()).unwrap();
    assert_eq!(after.problems, [], "nothing is left of the interrupted run");
    let numbers: Vec<u32> = after.recording.runs.iter().map(|run| run.id).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(&after.recording.runs[..before.recording.runs.len()], &before.recording.runs[..]);
    // The clock continues: no run begins before the previous one.
    assert!(after.recording.runs.is_sorted_by(|a, b| a.started < b.started));
    assert_eq!(after.environment.unwrap().sessions.len(), 2);

    // Nothing is left to do, and another plan needs another recording.
    assert_done(&place.run(&["--resume"]));
    assert_eq!(read(&place.recording()).unwrap().recording.runs.len(), 6);
    let other = place.run(&["--resume", "--repetitions", "9"]);
    assert!(text(&other.stderr).contains("is the recording of another plan"), "{}", text(&other.stderr));
    let again = place.run(&[]);
    assert!(text(&again.stderr).contains("is not empty"), "{}", text(&again.stderr));
}

#[test]
fn crash_of_experiment_loses_at_most_a_second() {
    let url = simulator(Config { rate: 100.0, tokens: 10_000, ..Config::default() });
    let place = Place::new(&url, 10_000, "repetitions = 1\n[[condition]]\nname = \"one\"\nsolo = false\n");
    let mut child = start(&place);
    let chunks = place.recording().join("chunk_metrics.csv");
    until("a second of chunks", || lines(&chunks) > 100);
    let began = Instant::now();
    thread::sleep(Duration::from_secs(2));
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = began.elapsed().as_secs_f64();
    // From the hundredth chunk on it saw a hundred per second. Those of the last second may be lost.
    let saved = lines(&chunks) as f64 - 101.0;
    assert!(saved >= 100.0 * (killed - 1.0) * 0.8, "{saved} chunks of {killed} s");
    let numbers: BTreeSet<u32> =
        read(&place.recording()).unwrap().recording.runs.iter().map(|run| run.id).collect();
    assert!(numbers.is_empty());
}
