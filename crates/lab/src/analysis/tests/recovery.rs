//! Analyses experiments with a known truth: their intervals and tests are right as often as they claim.

use crate::analysis::{
    Alone, Condition, Measure, Settings, analyse,
    statistic::{Random, power::power, sum, variance, welch},
    true_speedup,
};

use super::model::{Draft, Law};

const EXPERIMENTS: usize = 2000;

/// No resampling, because the tests of this file do not use it.
const QUICK: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 2, seed: 117, window: 1.0, margin: 0.05 };

/// Returns the share of experiments whose interval contains the truth.
fn coverage(law: Law, tokens: &[u32], runs: usize, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let many = 40_000;
    let wall = sum((0..many).map(|_| law.wall(tokens, &mut random))) / f64::from(many);
    let truth = sum(tokens.iter().map(|tokens| law.alone(*tokens))) / wall;
    let covered = (0..EXPERIMENTS).filter(|_| {
        let mut many = |tokens: &[u32]| (0..runs).map(|_| law.wall(tokens, &mut random)).collect::<Vec<_>>();
        let together = many(tokens);
        let durations: Vec<Vec<f64>> = tokens.iter().map(|tokens| many(&[*tokens])).collect();
        let alone: Vec<Alone<'_>> =
            durations.iter().map(|durations| Alone { durations, agents: 1 }).collect();
        let found = true_speedup(&alone, &together, 0.95).unwrap();
        found.interval.unwrap().contains(truth)
    });
    covered.count() as f64 / EXPERIMENTS as f64
}

#[test]
fn true_speedup_interval_has_stated_coverage_with_equal_work() {
    let law = Law { rate: 50.0, contention: 0.3, jitter: 0.1 };
    let covered = coverage(law, &[64, 64], 5, 1);
    assert!((0.93..=0.97).contains(&covered), "{covered}");
}

#[test]
fn true_speedup_interval_has_stated_coverage_with_unequal_work_and_noise() {
    let law = Law { rate: 50.0, contention: 0.6, jitter: 0.9 };
    let covered = coverage(law, &[80, 50], 6, 2);
    assert!((0.93..=0.97).contains(&covered), "{covered}");
}

#[test]
fn loss_of_two_points_is_found_with_stated_power() {
    const TOKENS: [u32; 2] = [60, 60];
    const RUNS: usize = 16;
    let base = Law { rate: 50.0, contention: 0.2, jitter: 0.4 };
    let mut random = Random::new(3);
    let mut population = |law: Law| {
        let alone = law.alone(TOKENS[0]);
        (0..10_000).map(|_| alone / law.wall(&TOKENS, &mut random)).collect::<Vec<f64>>()
    };
    // The contention is raised until the efficiency is two points lower. Efficiency is nearly 1 / (1 + contention).
    let untouched = population(base);
    let mean = |values: &[f64]| sum(values.iter().copied()) / values.len() as f64;
    let goal = mean(&untouched) - 0.02;
    let mut contention = base.contention;
    for _ in 0..3 {
        let now = mean(&population(Law { contention, ..base }));
        contention = (1.0 + contention) * now / goal - 1.0;
    }
    let worse = Law { contention, ..base };
    let planted = population(worse);
    let loss = mean(&planted) - mean(&untouched);
    assert!((loss + 0.02).abs() < 0.001, "{loss}");
    let deviation = (0.5 * (variance(&untouched).unwrap() + variance(&planted).unwrap())).sqrt();
    let stated = power(loss / deviation, RUNS, RUNS, 0.05).unwrap();
    assert!((0.5..0.95).contains(&stated), "{stated} says nothing");

    let mut efficiencies = |law: Law| {
        (0..RUNS).map(|_| law.alone(TOKENS[0]) / law.wall(&TOKENS, &mut random)).collect::<Vec<f64>>()
    };
    let found = (0..EXPERIMENTS).filter(|_| {
        let test = welch(&efficiencies(worse), &efficiencies(base), 0.95).unwrap();
        test.p < 0.05 && test.difference < 0.0
    });
    let found = found.count() as f64 / EXPERIMENTS as f64;
    assert!((found - stated).abs() < 0.03, "found {found}, stated {stated}");

    // The same through a whole analysis, which derives the detectable difference from its own noise.
    let mut draft = Draft::default();
    draft.condition(Condition { name: "base".into(), ..Condition::default() });
    let baseline = Some("base".into());
    draft.condition(Condition { name: "worse".into(), baseline, ..Condition::default() });
    draft.simulate("base", base, &TOKENS, 200, true, &mut random);
    draft.simulate("worse", worse, &TOKENS, 200, false, &mut random);
    let analysis = analyse(&draft.recording, &QUICK);
    let comparison = analysis.comparison("worse", Measure::TrueEfficiency).unwrap();
    assert!(comparison.interval.unwrap().contains(-0.02), "{}", comparison.sentence());
    assert!(comparison.evidence.found(0.05), "{}", comparison.sentence());
    let at_detectable = power(comparison.detectable.unwrap() / deviation, 200, 200, 0.05).unwrap();
    assert!((at_detectable - 0.8).abs() < 0.1, "{at_detectable}");
}

#[test]
fn overlap_speedup_stays_near_two_if_nothing_is_gained() {
    let mut random = Random::new(4);
    let law = Law { rate: 50.0, contention: 1.0, jitter: 0.1 };
    let mut draft = Draft::default();
    draft.condition(Condition { name: "pair".into(), ..Condition::default() });
    draft.simulate("pair", law, &[100, 100], 8, true, &mut random);
    let analysis = analyse(&draft.recording, &QUICK);
    let condition = &analysis.conditions[0];
    assert!(condition.mean(Measure::OverlapSpeedup).unwrap().value > 1.95);
    let truth = condition.truth.unwrap();
    assert!((truth.speedup - 1.0).abs() < 0.02, "{}", truth.speedup);
    let gain = analysis.claims.iter().find(|claim| claim.id == "efficiency_is_gain").unwrap();
    assert_eq!(gain.verdict, crate::analysis::Verdict::Refuted, "{}", gain.sentence());
}
