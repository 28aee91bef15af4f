//! Machines that become slower while the experiment runs.

use crate::analysis::{
    Analysis, Language, Measure, analyse, paired_speedup,
    statistic::{Random, t_quantile},
};

use super::{super::model::Draft, NOISE, QUICK, alone, condition, few, json, normal, pair};

/// Returns a recording of two conditions in `runs` repetitions. From the first repetition to the last, every run becomes
/// slower by the share `drift`.
fn drifting(gain: f64, drift: f64, runs: u32, random: &mut Random) -> Draft {
    let mut draft = Draft::default();
    draft.condition(condition("a", Language::Rust, &[], None));
    draft.condition(condition("b", Language::Rust, &[], Some("a")));
    for repetition in 0..runs {
        let slow = 1.0 + drift * f64::from(repetition) / f64::from(runs - 1);
        let mut noisy = |wall: f64| wall * slow * (1.0 + 0.03 * normal(random));
        for (name, wall) in [("a", 15.0), ("b", 15.0 * (1.0 - gain))] {
            let (together, solo) = (noisy(wall), noisy(10.0));
            pair(&mut draft, name, together);
            alone(&mut draft, name, solo);
        }
        draft.recording.runs.iter_mut().rev().take(6).for_each(|run| run.repetition = Some(repetition));
    }
    draft
}

#[test]
fn drift_of_the_machine_does_not_hide_a_difference() {
    let mut random = Random::new(51);
    let experiments = 40;
    let mut found = |drift: f64| {
        let found = (0..experiments).filter(|_| {
            let analysis = analyse(&drifting(0.08, drift, 8, &mut random).recording, &QUICK);
            analysis.comparison("b", Measure::Throughput).unwrap().evidence.found(0.05)
        });
        found.count()
    };
    let (still, drifted) = (found(0.0), found(0.3));
    assert!(still >= 28 && drifted >= 28, "{still} and {drifted} of {experiments}");
}

#[test]
fn drift_is_found_and_said() {
    let mut random = Random::new(52);
    let analysis = analyse(&drifting(0.0, 0.3, 8, &mut random).recording, &QUICK);
    let drift = &json(&analysis)["drift"][0];
    let change = drift["change"].as_f64().unwrap();
    assert!((change - 0.3).abs() < 0.1 && drift["p"].as_f64().unwrap() < 0.001, "{drift}");
    let says = |note: &&String| note.starts_with("drift:") && note.contains("slower");
    assert!(analysis.notes.iter().any(|note| says(&note)), "{:?}", analysis.notes);
    let still = analyse(&drifting(0.0, 0.0, 8, &mut random).recording, &QUICK);
    assert!(!still.notes.iter().any(|note| says(&note)), "{:?}", still.notes);
}

#[test]
fn conditions_without_repetitions_are_compared_by_welch() {
    let mut draft = Draft::default();
    draft.condition(condition("a", Language::Rust, &[], None));
    draft.condition(condition("b", Language::Rust, &[], Some("a")));
    for noise in few(&NOISE) {
        pair(&mut draft, "a", 10.0 * noise);
        pair(&mut draft, "b", 11.0 * noise);
    }
    let analysis = analyse(&draft.recording, &QUICK);
    assert!(!analysis.comparison("b", Measure::Throughput).unwrap().paired);
}

#[test]
fn difference_of_conditions_with_solo_runs_of_their_own_has_the_error_of_these_runs() {
    let mut draft = Draft::default();
    draft.condition(condition("a", Language::Rust, &[], None));
    draft.condition(condition("b", Language::Rust, &[], Some("a")));
    for noise in few(&NOISE) {
        for name in ["a", "b"] {
            alone(&mut draft, name, 10.0 * noise.powi(10));
            pair(&mut draft, name, 15.0 * noise);
        }
    }
    let analysis = analyse(&draft.recording, &QUICK);
    let error = |name: &str| {
        let truth = analysis.condition(name).unwrap().truth.unwrap();
        truth.efficiency * truth.relative_error.unwrap()
    };
    let found = analysis.comparison("b", Measure::TrueEfficiency).unwrap().standard_error.unwrap();
    assert!((found / error("a").hypot(error("b")) - 1.0).abs() < 1e-12, "{found}");
}

#[test]
fn difference_of_conditions_that_share_solo_runs_has_their_error_once() {
    let of = |spread: i32, repeated: bool| {
        let mut draft = Draft::default();
        draft.condition(condition("a", Language::Rust, &[], None));
        draft.condition(condition("b", Language::Rust, &[], Some("a")));
        for (repetition, noise) in (0..).zip(few(&NOISE)) {
            alone(&mut draft, "a", 10.0 * noise.powi(spread));
            pair(&mut draft, "a", 15.0 * noise);
            pair(&mut draft, "b", 30.0 * noise.powi(2));
            if repeated {
                draft
                    .recording
                    .runs
                    .iter_mut()
                    .rev()
                    .take(4)
                    .for_each(|run| run.repetition = Some(repetition));
            }
        }
        analyse(&draft.recording, &QUICK)
    };
    let difference = |analysis: &Analysis| {
        let found = analysis.comparison("b", Measure::TrueEfficiency).unwrap();
        (found.difference, found.interval.unwrap(), found.evidence, found.standard_error.unwrap())
    };
    let (exact, noisy) = (of(0, false), of(5, false));
    let ((plain, narrow, evidence, error), (value, wide, same, same_error)) =
        (difference(&exact), difference(&noisy));
    // The unit changes the size and its interval, and neither the test nor the error of the difference in that unit.
    let scale = value / plain;
    assert!((same_error / (scale * error) - 1.0).abs() < 1e-9, "{same_error} {error}");
    assert!((same.p().unwrap() - evidence.p().unwrap()).abs() < 1e-12, "{same:?} {evidence:?}");
    let widths = (wide.high - wide.low, scale * (narrow.high - narrow.low));
    assert!(widths.0 > 1.05 * widths.1, "{widths:?}");
    // It counts once, not once for each side: the interval is narrower than that of two independent efficiencies.
    let errors = |name: &str| {
        let truth = noisy.condition(name).unwrap().truth.unwrap();
        truth.efficiency * truth.relative_error.unwrap()
    };
    let twice = 2.0 * t_quantile(0.975, 20.0) * errors("a").hypot(errors("b"));
    assert!(widths.0 < twice, "{widths:?} {twice}");
    // The efficiency of a condition has the error of the solo runs as well.
    let mean = |analysis: &Analysis| {
        let mean = analysis.condition("b").unwrap().mean(Measure::TrueEfficiency).unwrap();
        let interval = mean.interval.unwrap();
        (interval.high - interval.low) / mean.value
    };
    assert!(mean(&noisy) > 1.05 * mean(&exact), "{} {}", mean(&noisy), mean(&exact));
    // Within repetitions, the pairs contain the noise of the solo runs, which is not added again.
    let paired = of(5, true);
    let found = paired.comparison("b", Measure::TrueEfficiency).unwrap();
    let interval = found.interval.unwrap();
    let half = 0.5 * (interval.high - interval.low);
    let middle = 0.5 * (interval.high + interval.low);
    assert!(found.paired && (middle - found.difference).abs() < 1e-12, "{found:?}");
    assert!(half > found.standard_error.unwrap());
}

#[test]
fn efficiency_within_a_repetition_uses_the_solo_runs_of_that_repetition() {
    let mut draft = Draft::default();
    draft.condition(condition("a", Language::Rust, &[], None));
    draft.condition(condition("b", Language::Rust, &[], Some("a")));
    for repetition in 0..6 {
        let slow = 1.0 + 0.1 * f64::from(repetition);
        for (name, wall) in [("a", 15.0), ("b", 12.5)] {
            pair(&mut draft, name, wall * slow);
            alone(&mut draft, name, 10.0 * slow);
        }
        draft.recording.runs.iter_mut().rev().take(6).for_each(|run| run.repetition = Some(repetition));
    }
    let analysis = analyse(&draft.recording, &QUICK);
    let found = analysis.comparison("b", Measure::TrueEfficiency).unwrap().difference;
    assert!((found - (10.0 / 12.5 - 10.0 / 15.0)).abs() < 1e-12, "{found}");
    let truth = analysis.condition("a").unwrap().truth.unwrap();
    assert!(truth.relative_error.unwrap() < 1e-12 && truth.df == Some(5.0), "{truth:?}");
}

#[test]
fn true_speedup_lies_in_its_interval_as_often_as_promised_under_drift() {
    let mut random = Random::new(53);
    for runs in [4_u32, 8, 20] {
        let experiments = 2_000;
        let covered = (0..experiments).filter(|_| {
            let mut noisy = |seconds: f64, repetition: u32| {
                let slow = 1.0 + 0.3 * f64::from(repetition) / f64::from(runs - 1);
                seconds * slow * (0.1 * normal(&mut random)).exp()
            };
            let (alone, together): (Vec<f64>, Vec<f64>) =
                (0..runs).map(|repetition| (noisy(20.0, repetition), noisy(15.0, repetition))).unzip();
            let found = paired_speedup(&alone, &together, 2, 0.95).unwrap();
            found.interval.unwrap().contains(20.0 / 15.0)
        });
        let covered = covered.count() as f64 / f64::from(experiments);
        assert!((0.93..=0.97).contains(&covered), "{covered} of {runs} repetitions");
    }
}
