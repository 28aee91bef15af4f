//! Reports of two recordings.

use std::collections::BTreeMap;

use super::made_up::{SETTINGS, recorded, report};
use streamgauge_lab::experiment::recording::{Recorded, Upstream};
use streamgauge_lab::report::Report;

/// The same recording with another name, in which everything takes longer by this factor.
fn slower(factor: f64) -> Recorded {
    let mut slow = Recorded { name: "later".into(), ..recorded() };
    for agent in &mut slow.recording.agents {
        agent.duration *= factor;
    }
    slow
}

fn with_version(mut recorded: Recorded, version: &str) -> Recorded {
    let mut environment = recorded.environment.unwrap_or_default();
    let upstream = Upstream { version: Some(version.into()), ..Upstream::default() };
    environment.upstreams = BTreeMap::from([("one".to_owned(), upstream)]);
    recorded.environment = Some(environment);
    recorded
}

#[test]
fn report_of_two_recordings_compares_conditions_of_the_same_name() {
    let first = with_version(recorded(), "0.33.0");
    let report = Report::of(vec![first, with_version(slower(1.5), "0.34.3")], &SETTINGS);
    let regressions = report.regressions().unwrap();
    assert!(
        regressions.iter().any(|found| found.contains("later/rust is worse than made-up/rust in throughput")),
        "{regressions:#?}"
    );
    let text = report.text(None);
    assert!(text.contains("Comparison of the recordings"), "{text}");
    assert!(text.contains("Worse than in made-up: "), "{text}");
    let text = report.full_text(None);
    assert!(text.contains("Ollama: 0.33.0 in made-up, 0.34.3 in later"), "{text}");
    assert!(report.html().contains("Comparison of the recordings"));
    assert!(report.json().contains("\"between\""));
}

#[test]
fn recording_against_itself_has_no_regression() {
    let report = Report::of(vec![recorded(), slower(1.0)], &SETTINGS);
    assert_eq!(report.regressions(), Ok(Vec::new()));
}

#[test]
fn recordings_without_a_common_condition_cannot_be_compared() {
    let mut other = slower(1.0);
    for condition in &mut other.recording.conditions {
        condition.name.push_str(" of another plan");
    }
    other.recording.loads.clear();
    let found = Report::of(vec![recorded(), other], &SETTINGS).regressions();
    assert!(found.unwrap_err().contains("no condition and no load in common"));
    assert!(report().regressions().is_err());
}

#[test]
fn recordings_with_one_condition_each_are_compared_whatever_their_names() {
    let only = |name: &str, factor: f64| {
        let mut one = slower(factor);
        one.name = format!("recording of {name}");
        one.recording.conditions.retain(|condition| condition.name == "rust");
        one.recording.runs.retain(|run| run.condition == "rust");
        one.recording.conditions[0].name = name.into();
        one.recording.runs.iter_mut().for_each(|run| run.condition = name.into());
        one
    };
    let report = Report::of(vec![only("old", 1.0), only("new", 1.5)], &SETTINGS);
    let regressions = report.regressions().unwrap();
    assert!(
        regressions
            .iter()
            .any(|found| found.contains("recording of new/new is worse than recording of old/old")),
        "{regressions:#?}"
    );
}

#[test]
fn recordings_of_which_one_has_failures_only_are_not_compared_and_the_verdict_says_so() {
    let failed = |name: &str| {
        let mut failed = slower(1.0);
        failed.name = name.into();
        failed.recording.loads.clear();
        failed.recording.agents.iter_mut().for_each(|agent| agent.failure = Some("503".into()));
        failed
    };
    let first = Report::of(vec![failed("monday"), slower(1.0)], &SETTINGS);
    let said = "Nothing was compared: no condition and no load has a successful run in both recordings.";
    assert!(first.text(None).lines().nth(1).unwrap().ends_with(said), "{}", first.text(None));
    let later = Report::of(vec![recorded(), failed("tuesday")], &SETTINGS);
    let line = "tuesday/rust fails more often: 6 of 6 runs failed, against 1 of 6 runs of made-up/rust. 7 others fail more \
                often, too.";
    assert!(later.text(None).contains(line), "{}", later.text(None));
    assert_eq!(later.regressions().unwrap().len(), 8);
    // The comparisons within a recording say nothing about the two.
    assert!(!later.text(None).contains("could hide"), "{}", later.text(None));
}
