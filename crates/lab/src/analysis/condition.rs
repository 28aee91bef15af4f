//! Summarises the runs of one condition.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Alone, Condition, Energy, Measure, RunKind, RunSummary, Settings, TrueSpeedup,
    baseline::Baselines,
    consumption::Used,
    paired_speedup,
    statistic::{
        Baseline, Bootstrap, Interval, Mean, Random, UnitError, bca, centre, mean, scaled_interval,
        stopping_level,
    },
    true_speedup,
};

/// One condition over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionSummary {
    /// The condition.
    pub condition: Condition,
    /// The agents in a run. If runs differ, the largest number.
    pub(crate) agents: usize,
    /// The concurrent runs in which no agent failed.
    pub(crate) runs: usize,
    /// The concurrent runs in which an agent failed. No measure includes them.
    pub(crate) failed: usize,
    /// The solo runs of the role that has the fewest.
    pub(crate) solo_runs: usize,
    /// The condition whose solo runs are the baseline. `None`: there is none.
    pub(crate) baseline: Option<String>,
    /// The true speedup, with the uncertainty of both sides.
    pub truth: Option<TrueSpeedup>,
    /// Each measure, over the runs.
    pub(crate) measures: BTreeMap<Measure, Over>,
    /// The energy of the concurrent runs. `None`: no GPU was read during them.
    pub(crate) energy: Option<Energy>,
    /// Each measure by repetition. Within a repetition, the true efficiency uses the solo runs of that repetition.
    #[serde(skip)]
    pub(super) repetitions: BTreeMap<Measure, BTreeMap<u32, f64>>,
    /// The number of agents of each role, and the durations of its solo runs in seconds.
    #[serde(skip)]
    pub(super) alone: Vec<(usize, Vec<f64>)>,
}

/// A measure over runs, in its own unit. The runs are independent, so these intervals are valid. Intervals over the
/// values within a run would not be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Over {
    /// The mean with Student's interval. That of the true efficiency and of the true speedup contains the error of the solo
    /// runs, which all values share.
    pub(crate) mean: Mean,
    /// The BCa interval of the mean. `None`: there are fewer than 50 values, they do not vary, or they share solo runs with an
    /// error.
    pub(crate) bootstrap: Option<Bootstrap>,
    /// The values, in the order of the runs.
    pub(crate) values: Vec<f64>,
}

/// A condition with a larger share of failed runs is not recommended, if the share is also larger than the baseline's.
const FAILURES: f64 = 0.05;
/// The smallest number of runs with a bootstrap interval. With fewer runs, BCa intervals contain the true value less often
/// than they state: those of ten runs 90 % of the time.
pub(super) const BOOTSTRAP: usize = 50;
/// The smallest number of repetitions with which conditions are compared within repetitions.
pub(super) const PAIRS: usize = 4;

/// Returns the conditions with their baselines. If no condition of a recording names a baseline or a series, its first
/// condition is the baseline of the others.
pub(super) fn with_baselines(conditions: &[Condition], notes: &mut Vec<String>) -> Vec<Condition> {
    // TR117's folders have a baseline if they can have one.
    let plain = |condition: &Condition| {
        condition.baseline.is_none() && condition.series.is_none() && !condition.without_plan
    };
    let mut planned = conditions.to_vec();
    for recording in planned.chunk_by_mut(|a, b| a.recording == b.recording) {
        let [first, others @ ..] = recording else { continue };
        if others.is_empty() || !plain(first) || !others.iter().all(plain) {
            continue;
        }
        notes.push(format!(
            "no condition names a baseline, so the other conditions are compared with {}",
            first.name
        ));
        others.iter_mut().for_each(|other| other.baseline = Some(first.name.clone()));
    }
    planned
}

/// Returns the level of the quantile for the interval of a measure.
fn level(condition: &Condition, measure: Measure, level: f64) -> f64 {
    let is_truth =
        |name: &str| [Measure::TrueEfficiency, Measure::TrueSpeedup].iter().any(|truth| truth.name() == name);
    let stops = condition.until.as_deref().is_some_and(|until| {
        // The efficiency is the speedup divided by a constant.
        until == measure.name() || (is_truth(until) && is_truth(measure.name()))
    });
    if stops { stopping_level(level) } else { level }
}

/// Returns the measures by repetition; `efficiency` is the true efficiency of a run within its repetition.
fn by_repetition(
    runs: &[&RunSummary],
    efficiency: impl Fn(&RunSummary) -> Option<f64>,
) -> BTreeMap<Measure, BTreeMap<u32, f64>> {
    let value = |measure: Measure, run: &RunSummary| match measure {
        Measure::TrueEfficiency => efficiency(run),
        _ => measure.of(run),
    };
    let of_measure = |measure: Measure| {
        let mut values: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for run in runs {
            if let Some((repetition, value)) = run.repetition.zip(value(measure, run)) {
                values.entry(repetition).or_default().push(value);
            }
        }
        (measure, values.into_iter().map(|(repetition, values)| (repetition, centre(&values))).collect())
    };
    Measure::COMPARED.into_iter().map(of_measure).collect()
}

impl ConditionSummary {
    /// Summarises the concurrent runs of a condition. `runs` has the runs of all conditions, and `roles` the roles of
    /// each run.
    pub(super) fn of<'a>(
        condition: &Condition,
        runs: &[RunSummary],
        baselines: &Baselines<'_>,
        roles: impl Fn(u32) -> Vec<&'a str>,
        settings: &Settings,
    ) -> ConditionSummary {
        let of_condition =
            |run: &&RunSummary| run.condition == condition.name && run.kind == RunKind::Together;
        let (runs, failed): (Vec<&RunSummary>, Vec<&RunSummary>) =
            runs.iter().filter(of_condition).partition(|run| run.failures.is_empty());
        let agents = runs.iter().chain(&failed).map(|run| run.agents).max().unwrap_or(0);
        let owner = baselines.owner(condition);
        let level = |measure: Measure| level(condition, measure, settings.level);
        let of_truth = level(Measure::TrueEfficiency).max(level(Measure::TrueSpeedup));
        let walls: Vec<f64> = runs.iter().map(|run| run.wall).collect();
        let truth = owner
            .zip(runs.first())
            .and_then(|(owner, first)| baselines.speedup(owner, &roles(first.id), &walls, of_truth).ok());
        let repetitions = by_repetition(&runs, |run| {
            let alone = baselines.sum_in(owner?, &roles(run.id), run.repetition?)?;
            Some(alone / run.wall / run.agents as f64)
        });
        let paired = owner.and_then(|owner| {
            let (alone, together): (Vec<f64>, Vec<f64>) = runs
                .iter()
                .filter_map(|run| Some((baselines.sum_in(owner, &roles(run.id), run.repetition?)?, run.wall)))
                .unzip();
            let speedup = || paired_speedup(&alone, &together, agents, of_truth).ok();
            (alone.len() >= PAIRS).then(speedup).flatten()
        });
        let truth = paired.or(truth).map(|truth| truth.stating(settings.level));
        let alone = owner
            .zip(runs.first())
            .map_or_else(Vec::new, |(owner, first)| baselines.alone(owner, &roles(first.id)));
        let unit = unit_error(&alone);
        let measures = Measure::ALL
            .into_iter()
            .filter_map(|measure| {
                let values: Vec<f64> = runs.iter().filter_map(|run| measure.of(run)).collect();
                let unit = unit.filter(|_| measure.is_relative());
                Some((measure, Over::of(measure, values, unit, level(measure), settings)?))
            })
            .collect();
        let used = runs
            .iter()
            .filter_map(|run| Some(Used { joules: run.joules?, wall: run.wall, tokens: run.tokens }));
        ConditionSummary {
            energy: Energy::over(&used.collect::<Vec<_>>(), settings.level),
            agents,
            runs: runs.len(),
            failed: failed.len(),
            solo_runs: owner.map_or(0, |owner| baselines.fewest(owner)),
            baseline: owner.map(str::to_owned),
            truth,
            measures,
            repetitions,
            alone,
            condition: condition.clone(),
        }
    }

    /// Returns a summary that consists of values of measures only.
    #[cfg(feature = "experiment")]
    pub(super) fn of_values(
        name: &str,
        recording: u32,
        values: BTreeMap<Measure, Vec<f64>>,
        settings: &Settings,
    ) -> ConditionSummary {
        let over = |(measure, values): (Measure, Vec<f64>)| {
            Some((measure, Over::of(measure, values, None, settings.level, settings)?))
        };
        ConditionSummary {
            condition: Condition { name: name.to_owned(), recording, ..Condition::default() },
            agents: 0,
            runs: 0,
            failed: 0,
            solo_runs: 0,
            baseline: None,
            truth: None,
            measures: values.into_iter().filter_map(over).collect(),
            energy: None,
            repetitions: BTreeMap::new(),
            alone: Vec::new(),
        }
    }

    /// Returns the share of the concurrent runs in which an agent failed.
    #[must_use]
    pub(crate) fn failure_rate(&self) -> f64 {
        if self.failed == 0 { 0.0 } else { self.failed as f64 / (self.runs + self.failed) as f64 }
    }

    /// Returns the reason why a condition cannot be recommended: too many of its runs failed, and a larger share than
    /// of the runs of its baseline.
    pub(super) fn fails_more_than(&self, baseline: &ConditionSummary) -> Option<String> {
        let rate = self.failure_rate();
        let of = |found: &ConditionSummary| match found.runs + found.failed {
            1 => format!("{} of 1 run", found.failed),
            all => format!("{} of {all} runs", found.failed),
        };
        (rate > FAILURES && rate > baseline.failure_rate())
            .then(|| format!("{} failed, against {} of {}", of(self), of(baseline), baseline.condition.name))
    }

    /// Returns the durations of the solo runs, which the true efficiency of each run is relative to.
    pub(super) fn solo(&self) -> Baseline<'_> {
        Baseline {
            samples: self
                .alone
                .iter()
                .map(|(agents, durations)| (*agents as f64, durations.as_slice()))
                .collect(),
        }
    }

    /// Returns the error of the solo runs that every value of a measure is relative to.
    pub(super) fn unit(&self, measure: Measure) -> Option<UnitError> {
        unit_error(&self.alone).filter(|_| measure.is_relative())
    }

    /// Returns the values of a measure, one per run.
    #[must_use]
    pub(crate) fn values(&self, measure: Measure) -> &[f64] {
        self.measures.get(&measure).map_or(&[], |over| &over.values)
    }

    /// Returns the mean of a measure over the runs.
    #[must_use]
    pub fn mean(&self, measure: Measure) -> Option<Mean> {
        self.measures.get(&measure).map(|over| over.mean)
    }
}

impl Over {
    /// `unit` is the error of what every value is relative to, and `level` that of the quantile, which the rule that stops an
    /// experiment corrects.
    fn of(
        measure: Measure,
        values: Vec<f64>,
        unit: Option<UnitError>,
        level: f64,
        settings: &Settings,
    ) -> Option<Over> {
        let mean = mean(&values, level).ok()?;
        let with_unit = |interval: Interval| match mean.deviation.filter(|_| unit.is_some()) {
            None => interval,
            Some(deviation) => {
                let n = values.len() as f64;
                scaled_interval(mean.value, (deviation / n.sqrt(), n - 1.0), unit, level)
            }
        };
        let stated = |interval: Interval| Interval { level: settings.level, ..measure.limit(interval) };
        let mean = Mean { interval: mean.interval.map(with_unit).map(stated), ..mean };
        let mut random = Random::new(settings.seed);
        // Resampling the runs would take the unit for exact.
        let bootstrap = (values.len() >= BOOTSTRAP && unit.is_none())
            .then(|| bca(&values, centre, settings.level, settings.resamples, &mut random).ok())
            .flatten();
        Some(Over { mean, bootstrap, values })
    }
}

/// Returns the error of the summed durations of the agents alone. `None`: they do not vary, or ran alone only once.
fn unit_error(alone: &[(usize, Vec<f64>)]) -> Option<UnitError> {
    let alone: Vec<Alone<'_>> =
        alone.iter().map(|(agents, durations)| Alone { durations, agents: *agents }).collect();
    // A single wall time has no error of its own.
    let speedup = true_speedup(&alone, &[1.0], 0.95).ok()?;
    Some(UnitError { relative: speedup.relative_error?, df: speedup.df? })
}
