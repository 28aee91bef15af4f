//! Comparisons of two recordings whose truth is known.

use super::model::{Draft, Law};
use crate::analysis::{Analysis, Condition, Measure, Outcome, Settings, analyse, statistic::Random};

const QUICK: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 2, seed: 117, window: 1.0, margin: 0.05 };
const BASE: Law = Law { rate: 50.0, contention: 0.3, jitter: 0.5 };

fn drawn(law: Law, random: &mut Random) -> Draft {
    let mut draft = Draft::default();
    draft.condition(Condition { name: "pair".into(), ..Condition::default() });
    draft.simulate("pair", law, &[60, 60], 6, true, random);
    // A repetition of each, so that pairing by the number of the repetition would be possible.
    let mut repetition = 0..;
    for run in &mut draft.recording.runs {
        run.repetition = repetition.next().map(|run: u32| run / 3);
    }
    draft
}

fn compared(first: Law, second: Law, random: &mut Random) -> Analysis {
    let mut draft = drawn(first, random);
    draft.append("b", drawn(second, random));
    let mut analysis = analyse(&draft.recording, &QUICK);
    analysis.compare(&[("b/pair".into(), "pair".into())]);
    analysis
}

#[test]
fn slower_recording_is_a_regression_with_its_difference_in_the_interval() {
    let slower = Law { rate: 40.0, ..BASE };
    let analysis = compared(BASE, slower, &mut Random::new(1));
    let throughput = analysis.between.comparisons.iter().find(|found| found.measure == Measure::Throughput);
    let throughput = throughput.unwrap();
    assert_eq!(throughput.verdict, Outcome::Worse, "{}", throughput.sentence());
    assert!(!throughput.paired, "repetitions of two recordings have nothing in common");
    let truth = 120.0 / (60.0 * 1.3 / 40.0) - 120.0 / (60.0 * 1.3 / 50.0);
    let interval = throughput.interval.unwrap();
    assert!((truth - 1.5..truth + 1.5).contains(&throughput.difference), "{truth} {}", throughput.difference);
    assert!(interval.high < 0.0);
    let regressions = analysis.between.regressions();
    assert!(regressions[0].contains("b/pair is worse than pair in throughput"), "{regressions:?}");
    // The other way round it is an improvement.
    let turned = compared(slower, BASE, &mut Random::new(1));
    assert_eq!(turned.between.regressions(), Vec::<String>::new());
}

#[test]
fn recordings_of_the_same_law_are_a_regression_in_at_most_one_of_twenty() {
    let mut random = Random::new(2);
    const PAIRS: usize = 400;
    let found =
        (0..PAIRS).filter(|_| !compared(BASE, BASE, &mut random).between.regressions().is_empty()).count();
    // A regression is one side of a two-sided test, so half of the 5 % are expected; 5 % is beyond chance.
    assert!(found <= PAIRS / 20, "{found} of {PAIRS}");
}

#[test]
fn recording_in_which_runs_fail_is_a_regression() {
    let mut random = Random::new(3);
    let mut draft = drawn(BASE, &mut random);
    let mut failing = drawn(BASE, &mut random);
    let together = failing.recording.runs.iter().find(|run| run.kind == crate::analysis::RunKind::Together);
    let id = together.unwrap().id;
    let agent = failing.recording.agents.iter_mut().find(|agent| agent.run == id).unwrap();
    agent.failure = Some("503".into());
    draft.append("b", failing);
    let mut analysis = analyse(&draft.recording, &QUICK);
    analysis.compare(&[("b/pair".into(), "pair".into())]);
    let regressions = analysis.between.regressions();
    assert_eq!(regressions, ["b/pair fails more often: 1 of 6 runs failed, against 0 of 6 runs of pair"]);
}
