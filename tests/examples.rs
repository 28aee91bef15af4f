//! The examples run and print their measurements.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::Command;

/// The output of an example. `cargo test` builds the examples, but `cargo test --test` does not.
fn run(example: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let built = this.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(example);
    let output = Command::new(&built).output();
    let output =
        output.unwrap_or_else(|error| panic!("{}: {error}: cargo build --examples", built.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The value of the only series with this name and these labels.
fn value(printed: &str, name: &str, labels: &[&str]) -> f64 {
    let mut series = printed.lines().filter(|line| {
        line.starts_with(&format!("streamgauge_{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    let line = series.next().unwrap_or_else(|| panic!("no {name}{labels:?} in {printed}"));
    assert_eq!(series.next(), None);
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn embedded_sidecar_measures_stream_on_registry_of_program() {
    let printed = run("sidecar");
    let labels = ["upstream=\"gpu0\"", "route=\"chat\"", "outcome=\"complete\""];
    assert_eq!(value(&printed, "requests_total", &labels), 1.0);
    assert_eq!(value(&printed, "tokens_total", &["kind=\"output\""]), 16.0);
    // Sixteen tokens at 50 per second, without load time.
    assert!(value(&printed, "request_duration_seconds_sum", &[]) > 0.25, "{printed}");
}

#[test]
fn embedded_meter_around_reqwest_measures_stream() {
    let printed = run("meter_reqwest");
    let labels = ["upstream=\"ollama\"", "route=\"generate\"", "outcome=\"complete\""];
    assert_eq!(value(&printed, "requests_total", &labels), 1.0);
    assert_eq!(value(&printed, "tokens_total", &["kind=\"output\""]), 16.0);
    for at in ["at=\"upstream\"", "at=\"client\""] {
        assert_eq!(value(&printed, "chunk_gap_seconds_count", &[at]), 15.0);
    }
    assert!(value(&printed, "time_to_first_token_seconds_sum", &[]) > 0.0);
}
