//! Comparisons of two recordings whose truth is known.

use super::{
    model::{Draft, Law},
    traps::normal,
};
use crate::analysis::{
    Analysis, Condition, Language, Measure, Outcome, Remedy, RunKind, Settings, analyse, statistic::Random,
};

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

#[test]
fn claim_about_a_remedy_is_judged_by_recordings_of_which_one_has_the_remedy() {
    let python = |remedies: &[Remedy]| {
        let mut draft = drawn(BASE, &mut Random::new(5));
        draft.recording.conditions[0].language = Language::Python;
        draft.recording.conditions[0].remedies = remedies.to_vec();
        draft
    };
    let because = |first: &[Remedy], later: &[Remedy]| {
        let mut draft = python(first);
        draft.append("b", python(later));
        let mut analysis = analyse(&draft.recording, &QUICK);
        analysis.compare(&[("b/pair".into(), "pair".into())]);
        analysis.claims.iter().find(|claim| claim.id == "slower_is_faster").unwrap().because.clone()
    };
    let paced = [Remedy::Pace(60.0)];
    assert!(because(&[], &paced).contains("b/pair against pair"), "{}", because(&[], &paced));
    // Two recordings with the pace say nothing about it.
    assert_eq!(because(&paced, &paced), "No paced condition is compared with one without a pace.");
}

#[test]
fn permutation_test_contains_the_noise_of_the_solo_runs_of_both_sides() {
    let mut random = Random::new(6);
    const EXPERIMENTS: usize = 400;
    let settings = Settings { resamples: 199, ..QUICK };
    // The durations alone vary by 10 %, and those together by 2 %. No experiment has a difference.
    let recording = |random: &mut Random| {
        let mut draft = Draft::default();
        draft.condition(Condition { name: "pair".into(), ..Condition::default() });
        for _ in 0..5 {
            for role in ["a", "b"] {
                draft.run("pair", RunKind::Solo, &[(role, 500, 10.0 + normal(random))]);
            }
            let wall = 15.0 + 0.3 * normal(random);
            draft.run("pair", RunKind::Together, &[("a", 500, wall), ("b", 500, wall)]);
        }
        draft
    };
    let mut found = 0;
    for _ in 0..EXPERIMENTS {
        let mut draft = recording(&mut random);
        draft.append("b", recording(&mut random));
        let mut analysis = analyse(&draft.recording, &settings);
        analysis.compare(&[("b/pair".into(), "pair".into())]);
        let of = analysis.between.comparisons.iter().find(|found| found.measure == Measure::TrueEfficiency);
        let comparison = of.unwrap();
        found += usize::from(comparison.permutation.unwrap().p < 0.05);
        // The effect has the variance of the standard error, which contains that of the solo runs.
        let (effect, error) = (comparison.effect.unwrap(), comparison.standard_error.unwrap());
        assert!((effect.deviation - error / (2.0_f64 / 5.0).sqrt()).abs() < 1e-12);
    }
    assert!(found <= EXPERIMENTS * 8 / 100, "{found} of {EXPERIMENTS}");
}
