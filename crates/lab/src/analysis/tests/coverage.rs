//! The intervals of a report contain the truth as often as they state, in each regime that recordings come from.

use super::traps::normal;
use crate::analysis::{
    Alone,
    condition::BOOTSTRAP,
    paired_speedup,
    statistic::{Interval, Random, UnitError, bca, centre, mean, scaled_interval, variance, welch},
    true_speedup,
};

const LEVEL: f64 = 0.95;
const EXPERIMENTS: usize = 4000;
/// The numbers of runs of each condition.
const RUNS: [usize; 5] = [4, 5, 8, 12, 20];

/// The noise of a duration, as a factor whose mean is 1.
#[derive(Clone, Copy, Debug)]
enum Noise {
    Normal(f64),
    Lognormal(f64),
}

const NOISES: [Noise; 4] =
    [Noise::Normal(0.02), Noise::Normal(0.15), Noise::Lognormal(0.1), Noise::Lognormal(0.3)];

impl Noise {
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Noise::Normal(deviation) => 1.0 + deviation * normal(random),
            Noise::Lognormal(sigma) => (sigma * normal(random) - 0.5 * sigma * sigma).exp(),
        }
    }

    fn many(self, mean: f64, runs: usize, random: &mut Random) -> Vec<f64> {
        (0..runs).map(|_| mean * self.draw(random)).collect()
    }
}

/// Draws experiments of each noise and number of runs, and names those whose intervals contain the truth too rarely or
/// too often.
fn beyond(
    truth: f64,
    mut interval: impl FnMut(Noise, usize, &mut Random) -> Option<Interval>,
) -> Vec<String> {
    let mut random = Random::new(25);
    let mut wrong = Vec::new();
    for noise in NOISES {
        for runs in RUNS {
            let covered = (0..EXPERIMENTS)
                .filter(|_| {
                    interval(noise, runs, &mut random).is_some_and(|interval| interval.contains(truth))
                })
                .count() as f64
                / EXPERIMENTS as f64;
            if !(0.93..=0.97).contains(&covered) {
                wrong.push(format!("{noise:?}, {runs} runs: {:.1} %", 100.0 * covered));
            }
        }
    }
    wrong
}

#[test]
fn interval_of_a_mean_contains_it_as_often_as_it_states() {
    let wrong = beyond(3.0, |noise, runs, random| mean(&noise.many(3.0, runs, random), LEVEL).ok()?.interval);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn interval_of_a_difference_contains_it_as_often_as_it_states() {
    // The second side has twice the runs.
    let wrong = beyond(-0.5, |noise, runs, random| {
        let (first, second) = (noise.many(2.5, runs, random), noise.many(3.0, 2 * runs, random));
        Some(welch(&first, &second, LEVEL).ok()?.interval)
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn interval_of_a_true_speedup_of_separate_runs_contains_it_as_often_as_it_states() {
    let wrong = beyond(1.25, |noise, runs, random| {
        let (one, two) = (noise.many(2.0, runs, random), noise.many(3.0, runs, random));
        let alone = [Alone { durations: &one, agents: 1 }, Alone { durations: &two, agents: 1 }];
        true_speedup(&alone, &noise.many(4.0, runs, random), LEVEL).ok()?.interval
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn interval_of_a_true_speedup_with_a_shared_baseline_contains_it_as_often_as_it_states() {
    let wrong = beyond(2.0, |noise, runs, random| {
        let solo = noise.many(2.0, runs, random);
        let alone = [Alone { durations: &solo, agents: 4 }];
        true_speedup(&alone, &noise.many(4.0, runs, random), LEVEL).ok()?.interval
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the efficiencies of conditions, each with the runs of `runs` and the mean of `means`, whose solo runs are the
/// same, and the error of these.
fn with_shared_solo_runs(
    noise: Noise,
    solo: usize,
    (means, runs): (&[f64], usize),
    random: &mut Random,
) -> (Vec<Vec<f64>>, UnitError) {
    let solo = noise.many(2.0, solo, random);
    let alone = [Alone { durations: &solo, agents: 4 }];
    let found = true_speedup(&alone, &[1.0], LEVEL).unwrap();
    let unit = UnitError { relative: found.relative_error.unwrap(), df: found.df.unwrap() };
    let of_condition = |mean: &f64| {
        let shares = noise.many(0.5 * mean, runs, random);
        shares.into_iter().map(|share| centre(&solo) * share).collect()
    };
    (means.iter().map(of_condition).collect(), unit)
}

#[test]
fn interval_of_an_efficiency_with_shared_solo_runs_contains_it_as_often_as_it_states() {
    for few in [false, true] {
        let wrong = beyond(0.8, |noise, runs, random| {
            let solo = if few { 4 } else { runs };
            let (found, unit) = with_shared_solo_runs(noise, solo, (&[0.8], runs), random);
            let error = (variance(&found[0]).ok()? / runs as f64).sqrt();
            Some(scaled_interval(centre(&found[0]), (error, runs as f64 - 1.0), Some(unit), LEVEL))
        });
        assert!(wrong.is_empty(), "few solo runs: {few}: {wrong:#?}");
    }
}

#[test]
fn interval_of_a_difference_of_conditions_with_shared_solo_runs_contains_it_as_often_as_it_states() {
    for few in [false, true] {
        let mut plain = 0;
        let wrong = beyond(0.5, |noise, runs, random| {
            let solo = if few { 4 } else { runs };
            let (found, unit) = with_shared_solo_runs(noise, solo, (&[1.0, 0.5], runs), random);
            let test = welch(&found[0], &found[1], LEVEL).ok()?;
            plain += usize::from(test.interval.contains(0.5));
            Some(scaled_interval(test.difference, (test.standard_error, test.df), Some(unit), LEVEL))
        });
        assert!(wrong.is_empty(), "few solo runs: {few}: {wrong:#?}");
        // Without the error of the solo runs, the interval is too narrow.
        let all = EXPERIMENTS * NOISES.len() * RUNS.len();
        assert!(plain < all * if few { 91 } else { 94 } / 100, "{plain} of {all}");
    }
}

/// The factor by which a machine that becomes 30 % slower during an experiment is slower in a repetition.
fn drift(repetition: usize, runs: usize) -> f64 {
    1.0 + 0.3 * repetition as f64 / (runs - 1) as f64
}

#[test]
fn interval_of_a_paired_speedup_under_drift_contains_it_as_often_as_it_states() {
    let wrong = beyond(1.5, |noise, runs, random| {
        let (alone, together): (Vec<f64>, Vec<f64>) = (0..runs)
            .map(|repetition| {
                let slow = drift(repetition, runs);
                (slow * 6.0 * noise.draw(random), slow * 4.0 * noise.draw(random))
            })
            .unzip();
        paired_speedup(&alone, &together, 2, LEVEL).ok()?.interval
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn interval_of_paired_differences_under_drift_contains_their_mean_as_often_as_it_states() {
    // An effect in proportion to the duration grows with the drift: its mean over the repetitions is the truth.
    let wrong = beyond(0.2, |noise, runs, random| {
        let differences: Vec<f64> = (0..runs)
            .map(|repetition| {
                let slow = 10.0 * (drift(repetition, runs) - 1.15);
                (slow + 2.2 * noise.draw(random)) - (slow + 2.0 * noise.draw(random))
            })
            .collect();
        mean(&differences, LEVEL).ok()?.interval
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bootstrap_interval_is_shown_only_for_samples_that_it_covers_as_often_as_it_states() {
    let mut random = Random::new(25);
    const SAMPLES: usize = 1000;
    for noise in [Noise::Normal(0.15), Noise::Lognormal(0.3)] {
        let covered = (0..SAMPLES)
            .filter(|_| {
                let values = noise.many(3.0, BOOTSTRAP, &mut random);
                bca(&values, centre, LEVEL, 500, &mut random).is_ok_and(|found| found.interval.contains(3.0))
            })
            .count() as f64
            / SAMPLES as f64;
        assert!((0.93..=0.97).contains(&covered), "{noise:?}, {BOOTSTRAP} runs: {covered}");
    }
}
