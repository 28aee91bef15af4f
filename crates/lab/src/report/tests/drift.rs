//! A drift of the machine and a burst of chunks stand in the verdict of the default report.

use super::{super::Report, QUICK, add, normal};
use crate::{
    analysis::{Chunk, Condition, Recording, RunKind, statistic::Random},
    experiment::recording::Recorded,
};

fn recorded(name: &str, recording: Recording) -> Recorded {
    Recorded { name: name.into(), recording, plan: None, environment: None, problems: Vec::new() }
}

/// Returns a recording of two conditions whose runs become slower by the share `drift`.
fn drifting(name: &str, drift: f64, repetitions: u32, random: &mut Random) -> Recorded {
    let mut recording = Recording::default();
    for (condition, baseline) in [("a", None), ("b", Some("a".to_owned()))] {
        recording.conditions.push(Condition { name: condition.into(), baseline, ..Condition::default() });
    }
    for repetition in 0..repetitions {
        let slow = 1.0 + drift * f64::from(repetition) / f64::from(repetitions - 1);
        for condition in ["a", "b"] {
            let seconds = 10.0 * slow * (1.0 + 0.005 * normal(random));
            add(&mut recording, condition, repetition, RunKind::Together, seconds);
        }
    }
    recorded(name, recording)
}

/// Returns the sentences of the verdict that a terminal shows and that begin with this word.
fn told(recorded: Vec<Recorded>, word: &str) -> Vec<String> {
    let report = Report::of(recorded, &QUICK);
    report.short_verdict().into_iter().filter(|line| line.starts_with(word)).collect()
}

#[test]
fn verdict_names_a_drift_that_endangers_a_decision_and_one_that_pairs_remove() {
    let mut random = Random::new(71);
    let mut of = |drift, repetitions| told(vec![drifting("one", drift, repetitions, &mut random)], "Drift");
    let [removed] = &of(0.3, 8)[..] else { panic!("no sentence") };
    assert!(
        removed.starts_with("Drift: the runs became ") && removed.contains(" % slower from the first"),
        "{removed}"
    );
    assert!(
        removed.ends_with("The comparisons are within repetitions, so they hold. The means contain it."),
        "{removed}"
    );
    let [endangers] = &of(0.3, 3)[..] else { panic!("no sentence") };
    assert!(
        endangers.ends_with("No comparison is within repetitions, so this can cause or hide differences."),
        "{endangers}"
    );
    assert_eq!(of(0.0, 8), Vec::<String>::new());
    // Within repetitions, a drift below the margin changes nothing.
    assert_eq!(of(0.03, 8), Vec::<String>::new());
}

#[test]
fn verdict_on_two_recordings_names_the_one_that_drifted() {
    let mut random = Random::new(72);
    let (still, drifted) =
        (drifting("monday", 0.0, 8, &mut random), drifting("tuesday", 0.3, 8, &mut random));
    let [one] = &told(vec![still, drifted], "Drift")[..] else { panic!("no sentence") };
    assert!(one.starts_with("Drift in tuesday: the runs became "), "{one}");
    assert!(one.ends_with("This can cause or hide a difference between the recordings."), "{one}");
}

#[test]
fn default_report_shows_a_burst_in_a_sentence_and_the_rate_of_each_condition_in_its_table() {
    let of = |burst: u32| {
        let mut recording = Recording::default();
        recording.conditions.push(Condition { name: "pair".into(), ..Condition::default() });
        for repetition in 0..4 {
            add(&mut recording, "pair", repetition, RunKind::Together, 10.0);
            let mut chunk = |at: f64| {
                let (bytes, records, gap, parse) = (1, 1, f64::NAN, f64::NAN);
                recording.chunks.push(Chunk {
                    run: repetition,
                    agent: 0,
                    at,
                    bytes,
                    records,
                    gap,
                    parse,
                    streams: 0,
                });
            };
            (0..200).for_each(|place| chunk(0.05 * f64::from(place)));
            // Over the border of two seconds.
            (0..burst).for_each(|place| chunk(4.6 + 0.9 * f64::from(place) / f64::from(burst)));
        }
        Report::of(vec![recorded("one", recording)], &QUICK)
    };
    let report = of(100);
    let verdict = report.short_verdict();
    let Some(told) = verdict.iter().find(|line| line.starts_with("Burst")) else { panic!("{verdict:#?}") };
    assert!(
        told.starts_with("Burst: 120 chunks arrived within 1 s in run 3 of pair, 5.9 times as many"),
        "{told}"
    );
    let text = report.text(Some(120));
    assert!(text.contains("burst") && text.contains("120.0/s"), "{text}");
    let steady = of(0);
    assert!(!steady.text(None).contains("Burst:"), "{}", steady.text(None));
}
