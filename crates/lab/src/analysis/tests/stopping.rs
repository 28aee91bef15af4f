//! Experiments that stop when an interval is narrow enough.

use super::traps::normal;
use crate::analysis::{
    Agent, Condition, Measure, Recording, Run, RunKind, Settings, Until, analyse, paired_speedup,
    statistic::{Interval, Random, mean, stopping_level},
};

#[test]
fn rule_is_read_with_either_sign_and_printed_again() {
    for text in ["true efficiency ± 3 %", "True efficiency +-3%"] {
        let until: Until = text.parse().unwrap();
        assert_eq!(until.to_string(), "true efficiency ± 3 %");
        assert_eq!(until.to_string().parse::<Until>().unwrap(), until);
    }
    assert_eq!(
        "true efficiency ± 2 points".parse::<Until>().unwrap().to_string(),
        "true efficiency ± 2 points"
    );
    for wrong in
        ["true efficiency", "throughput ± 3", "throughput ± 0 %", "throughput ± 2 points", "joy ± 3 %"]
    {
        assert!(wrong.parse::<Until>().is_err(), "{wrong}");
    }
}

/// Repeats until the interval is narrow enough. Returns whether it then contains the truth, and the repetitions.
fn sequence(
    look: impl Fn(usize) -> Option<(f64, Interval)>,
    share: f64,
    truth: f64,
    limit: usize,
) -> (bool, usize) {
    for runs in Until::FIRST_LOOK as usize..=limit {
        let Some((value, interval)) = look(runs) else { continue };
        if 0.5 * (interval.high - interval.low) <= share * value || runs == limit {
            return (interval.contains(truth), runs);
        }
    }
    unreachable!("the limit ends the loop")
}

/// Returns the smallest coverage over noises that need 5 to about 100 repetitions.
fn smallest_coverage(level: f64, experiment: impl Fn(f64, f64, &mut Random) -> (bool, usize)) -> f64 {
    const EXPERIMENTS: usize = 3000;
    let mut random = Random::new(41);
    let coverage = [0.02, 0.04, 0.05, 0.06, 0.08, 0.15].map(|noise| {
        let covered = (0..EXPERIMENTS).filter(|_| experiment(level, noise, &mut random).0).count();
        covered as f64 / EXPERIMENTS as f64
    });
    coverage.into_iter().fold(1.0, f64::min)
}

fn of_mean(level: f64, noise: f64, random: &mut Random) -> (bool, usize) {
    let values: Vec<f64> = (0..150).map(|_| 1.0 + noise * normal(random)).collect();
    let look = |runs: usize| {
        let found = mean(&values[..runs], level).ok()?;
        Some((found.value, found.interval?))
    };
    sequence(look, 0.03, 1.0, values.len())
}

fn of_speedup(level: f64, noise: f64, random: &mut Random) -> (bool, usize) {
    let mut draw = |mean: f64| (0..150).map(|_| mean * (1.0 + noise * normal(random))).collect::<Vec<f64>>();
    let (alone, together) = (draw(3.0), draw(2.0));
    let look = |runs: usize| {
        let found = paired_speedup(&alone[..runs], &together[..runs], 2, level).ok()?;
        Some((found.speedup, found.interval?))
    };
    sequence(look, 0.03, 1.5, 150)
}

#[test]
fn interval_of_a_mean_at_the_stop_contains_it_as_often_as_it_states() {
    let covered = smallest_coverage(stopping_level(0.95), of_mean);
    assert!(covered >= 0.945, "{covered}");
    // Without the correction it does not.
    let covered = smallest_coverage(0.95, of_mean);
    assert!(covered < 0.935, "{covered}");
}

#[test]
fn interval_of_a_true_speedup_at_the_stop_contains_it_as_often_as_it_states() {
    let covered = smallest_coverage(stopping_level(0.95), of_speedup);
    assert!(covered >= 0.945, "{covered}");
}

/// A recording of one condition, whose wall times alternate by `noise` around 2 s.
fn recording(repetitions: u32, noise: f64, until: Option<Measure>) -> Recording {
    let mut recording = Recording::default();
    recording.conditions.push(Condition {
        name: "pair".into(),
        until: until.map(|until| until.name().to_owned()),
        ..Condition::default()
    });
    for repetition in 0..repetitions {
        let sign = if repetition % 2 == 0 { 1.0 } else { -1.0 };
        for (kind, agents, duration) in
            [(RunKind::Solo, 1, 1.5), (RunKind::Together, 2, 2.0 * (1.0 + noise * sign))]
        {
            let id = recording.runs.len() as u32;
            let (condition, repetition) = ("pair".into(), Some(repetition));
            recording.runs.push(Run { id, condition, kind, repetition, ..Run::default() });
            for agent in 0..agents {
                let (role, tokens) = ("writer".into(), Some(100));
                recording.agents.push(Agent { run: id, agent, role, duration, tokens, ..Agent::default() });
            }
        }
    }
    recording
}

#[test]
fn look_compares_the_widened_interval_of_every_condition() {
    let until: Until = "throughput ± 3 %".parse().unwrap();
    let look = |repetitions, noise| {
        let recording = recording(repetitions, noise, Some(Measure::Throughput));
        until.look(&analyse(&recording, &Settings::default()), repetitions)
    };
    assert_eq!(look(4, 0.001), None, "too early");
    assert!(look(6, 0.001).unwrap().reached);
    let precision = look(6, 0.1).unwrap();
    assert!(!precision.reached && precision.widest.unwrap() > 3.0, "{precision:?}");
}

#[test]
fn report_of_a_stopped_experiment_widens_the_intervals_of_its_measure_only() {
    let of = |until| {
        let analysis = analyse(&recording(6, 0.05, until), &Settings::default());
        let condition = &analysis.conditions[0];
        let width = |interval: Interval| interval.high - interval.low;
        let mean = |measure| width(condition.mean(measure).unwrap().interval.unwrap());
        let truth = width(condition.truth.unwrap().efficiency_interval.unwrap());
        (mean(Measure::Throughput), mean(Measure::Wall), truth)
    };
    let (fixed, by_throughput, by_efficiency) =
        (of(None), of(Some(Measure::Throughput)), of(Some(Measure::TrueEfficiency)));
    // scipy.stats.t.ppf(.9875, 5) / scipy.stats.t.ppf(.975, 5)
    let wider = 3.163_381_449_748_609 / 2.570_581_835_636_314_6;
    assert!((by_throughput.0 / fixed.0 - wider).abs() < 1e-9, "{}", by_throughput.0 / fixed.0);
    assert_eq!((by_throughput.1, by_throughput.2), (fixed.1, fixed.2));
    assert!(by_efficiency.2 > 1.2 * fixed.2 && by_efficiency.0 == fixed.0);
}
