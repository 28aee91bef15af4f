//! What the runs of one condition say together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Condition, Measure, RunKind, RunSummary, Settings, TrueSpeedup,
    baseline::Baselines,
    statistic::{Bootstrap, Mean, Random, bca, mean, sum},
};

/// One condition over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionSummary {
    /// The condition.
    pub condition: Condition,
    /// Agents in a run. The most, if runs differ.
    pub agents: usize,
    /// Runs together that count.
    pub runs: usize,
    /// Solo runs of the role that has the fewest.
    pub solo_runs: usize,
    /// The condition whose solo runs are the baseline. Absent: there is none.
    pub baseline: Option<String>,
    /// The true speedup, with the uncertainty of both its sides.
    pub truth: Option<TrueSpeedup>,
    /// Each figure of a run, over runs.
    pub measures: BTreeMap<Measure, Over>,
}

/// A figure over runs, in its own unit. The runs are independent, so these intervals hold where those within a run
/// would not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Over {
    /// The mean with Student's interval.
    pub mean: Mean,
    /// The BCa interval of the mean. Absent with fewer than two values or where they do not vary.
    pub bootstrap: Option<Bootstrap>,
    /// The values, in the order of the runs.
    pub values: Vec<f64>,
}

impl ConditionSummary {
    /// The condition over its runs together; `runs` are those of all conditions, `roles` has those of a run.
    pub(super) fn of<'a>(
        condition: &Condition,
        runs: &[RunSummary],
        baselines: &Baselines<'_>,
        roles: impl Fn(u32) -> Vec<&'a str>,
        settings: &Settings,
    ) -> ConditionSummary {
        let of_condition =
            |run: &&RunSummary| run.condition == condition.name && run.kind == RunKind::Together;
        let runs: Vec<&RunSummary> = runs.iter().filter(of_condition).collect();
        let agents = runs.iter().map(|run| run.agents).max().unwrap_or(0);
        let owner = baselines.owner(condition);
        let whole: Vec<&&RunSummary> =
            runs.iter().filter(|run| run.failures.is_empty() && run.agents == agents).collect();
        let walls: Vec<f64> = whole.iter().map(|run| run.wall).collect();
        let truth = owner.zip(whole.first()).and_then(|(owner, first)| {
            baselines.speedup(owner, &roles(first.id), &walls, settings.level).ok()
        });
        let measures = Measure::ALL
            .into_iter()
            .filter_map(|measure| {
                let values: Vec<f64> = runs.iter().filter_map(|run| measure.of(run)).collect();
                Some((measure, Over::of(values, settings)?))
            })
            .collect();
        ConditionSummary {
            agents,
            runs: runs.len(),
            solo_runs: owner.map_or(0, |owner| baselines.fewest(owner)),
            baseline: owner.map(str::to_owned),
            truth,
            measures,
            condition: condition.clone(),
        }
    }

    /// The values of a measure, one a run.
    #[must_use]
    pub fn values(&self, measure: Measure) -> &[f64] {
        self.measures.get(&measure).map_or(&[], |over| &over.values)
    }

    /// The mean of a measure over runs.
    #[must_use]
    pub fn mean(&self, measure: Measure) -> Option<Mean> {
        self.measures.get(&measure).map(|over| over.mean)
    }
}

impl Over {
    fn of(values: Vec<f64>, settings: &Settings) -> Option<Over> {
        let mean = mean(&values, settings.level).ok()?;
        let of_resample = |values: &[f64]| sum(values.iter().copied()) / values.len() as f64;
        let mut random = Random::new(settings.seed);
        let bootstrap = bca(&values, of_resample, settings.level, settings.resamples, &mut random).ok();
        Some(Over { mean, bootstrap, values })
    }
}
