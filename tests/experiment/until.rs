//! Experiments that stop when an interval is narrow enough.

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
    assert!(
        text(&report.stdout).contains("the intervals of true efficiency decided when the experiment stopped")
    );
}

#[test]
fn experiment_that_reaches_its_limit_says_how_wide_the_interval_is() {
    let place = Place::new(&steady(), 5, PAIR);
    let output = place.run(&["--until", "true efficiency ± 0.000001 %", "--repetitions", "5"]);
    assert_done(&output);
    let shown = text(&output.stdout);
    assert!(shown.contains("not reached after 5 repetitions: true efficiency ± 0.000001 %"), "{shown}");
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
