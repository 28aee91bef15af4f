//! Experiments that stop when an interval is narrow enough.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use streamgauge::experiment::recording::read;
use streamgauge_simulate::Config;

use super::ollama::{Place, assert_done, simulator, streamgauge, text};

const PAIR: &str = "[[condition]]\nname = \"pair\"\ncount = 2\n";

fn steady() -> String {
    simulator(Config { rate: 200.0, jitter: 0.0, prefill_rate: 0.0, ..Config::default() })
}

#[test]
fn experiment_stops_when_the_interval_is_narrow_enough_and_says_so() {
    let place = Place::new(&steady(), 20, PAIR);
    let output = place.run(&["--until", "true efficiency +- 60 %", "--repetitions", "30"]);
    assert_done(&output);
    let shown = text(&output.stdout);
    assert!(shown.contains("true efficiency ± 60 % in every condition after "), "{shown}");
    let recorded = read(&place.recording()).unwrap();
    let repetitions = recorded.recording.runs.iter().filter_map(|run| run.repetition).max().unwrap() + 1;
    assert!((5..30).contains(&repetitions), "{repetitions}");
    assert_eq!(recorded.environment.unwrap().until.as_deref(), Some("true efficiency ± 60 %"));
    let report = streamgauge(&["report", place.recording().to_str().unwrap(), "--full"]).output().unwrap();
    let shown = text(&report.stdout);
    for expected in [
        "True efficiency ± 60 % in every condition after ",
        "the experiment looked at the intervals ",
        "was to stop when the intervals of true efficiency are narrow enough: they are widened by the quantile of 97.5 %",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
fn experiment_that_reaches_its_limit_says_how_wide_the_interval_is() {
    let place = Place::new(&steady(), 5, PAIR);
    let output = place.run(&["--until", "true efficiency ± 0.000001 %", "--repetitions", "5"]);
    assert_done(&output);
    let shown = text(&output.stdout);
    let expected = "not reached after 5 repetitions: true efficiency ± 0.000001 %; the interval of pair is ";
    assert!(shown.contains(expected), "{shown}");
    let report = streamgauge(&["report", place.recording().to_str().unwrap(), "--full"]).output().unwrap();
    let shown = text(&report.stdout);
    assert!(shown.contains("Not reached after 5 repetitions: true efficiency ± 0.000001 %"), "{shown}");
    let look = "the experiment looked at the intervals once, after 5 repetitions: the widest was ";
    assert!(shown.contains(look), "{shown}");
}

#[test]
fn interrupted_experiment_names_the_command_that_continues_it_with_its_rule() {
    let place = Place::new(&steady(), 20, PAIR);
    let arguments = ["--until", "true efficiency ± 0.000001 %", "--repetitions", "6", "--seed", "3"];
    let child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let runs = place.recording().join("runs.csv");
    while std::fs::read_to_string(&runs).map_or(0, |text| text.lines().count()) < 3 {
        assert!(Instant::now() < deadline, "no run ended");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let said = text(&child.wait_with_output().unwrap().stderr);
    let command = said.split('`').nth(1).unwrap_or_else(|| panic!("no command in {said:?}"));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_streamgauge")).parent().unwrap();
    let continued = Command::new("/bin/sh").args(["-c", command]).env("PATH", program).output().unwrap();
    assert_done(&continued);
    let shown = text(&continued.stdout);
    assert!(shown.contains("not reached after 6 repetitions: true efficiency ± 0.000001 %"), "{shown}");
    // Continued once more, the same rule looks at the same runs and executes none.
    let again = Command::new("/bin/sh").args(["-c", command]).env("PATH", program).output().unwrap();
    assert!(
        text(&again.stdout).contains(": 0 runs\nnot reached after 6 repetitions"),
        "{}",
        text(&again.stdout)
    );
}

#[test]
fn rule_that_no_experiment_of_the_plan_can_meet_is_refused_before_the_first_run() {
    for (conditions, rule, expected) in [
        (
            "[[condition]]\nname = \"pair\"\ncount = 2\nsolo = false\n",
            "true efficiency ± 3 %",
            "pair has no true efficiency, because its agents never run alone",
        ),
        (
            "[[condition]]\nname = \"chat\"\nload = { rate = 5, for = \"1s\" }\n",
            "throughput ± 3 %",
            "the plan has open-loop loads only, which have no throughput",
        ),
    ] {
        let place = Place::new("http://127.0.0.1:1", 5, conditions);
        let output = place.run(&["--until", rule]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        assert!(!place.recording().exists());
    }
}

#[test]
fn dry_run_with_a_rule_states_the_most_runs() {
    let place = Place::new("http://127.0.0.1:1", 5, PAIR);
    let output = place.run(&["--until", "throughput ± 3 %", "--dry-run"]);
    assert_done(&output);
    assert!(text(&output.stdout).contains("\nat most 100 runs, about "), "{}", text(&output.stdout));
}

#[test]
fn rule_that_cannot_be_read_is_refused_with_an_example() {
    let place = Place::new("http://127.0.0.1:1", 5, PAIR);
    for (rule, expected) in [
        ("true efficiency 3 %", "as in \"true efficiency ± 3 %\""),
        (
            "lag p99 ± 3 %",
            "there are true efficiency, true speedup, throughput, wall time, time to first token",
        ),
    ] {
        let output = place.run(&["--until", rule]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let output = place.run(&["--until", "throughput ± 3 %", "--repetitions", "4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--until needs 5 repetitions or more"), "{}", text(&output.stderr));
}
