//! Summarises loads and sweeps as conditions are, so that those of two recordings are compared alike.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{ConditionSummary, Measure, Settings},
    rate::{Rate, RunOutcome},
    sweep::Sweep,
};

impl Sweep {
    /// Returns a summary of each load, and one of the sweep if it has several rates. Their values are those of runs, and of
    /// repetitions of the sweep.
    pub(crate) fn summaries(&self, settings: &Settings) -> Vec<ConditionSummary> {
        let Some(recording) = self.rates.first().map(|rate| rate.load.recording) else { return Vec::new() };
        let summary = |name: &str, values| ConditionSummary::of_values(name, recording, values, settings);
        let mut summaries: Vec<ConditionSummary> =
            self.rates.iter().map(|rate| summary(&rate.load.condition, rate.values())).collect();
        if self.rates.len() > 1 {
            summaries.push(summary(&self.name, self.values()));
        }
        summaries
    }

    /// Returns the limit and the knee of each repetition. If no rate of a repetition missed the SLO, or if the goodput was
    /// highest at its highest rate, they are at least that rate, and it is taken.
    fn values(&self) -> BTreeMap<Measure, Vec<f64>> {
        let repetitions: BTreeSet<u32> =
            self.rates.iter().flat_map(|rate| &rate.outcomes).filter_map(|run| run.repetition).collect();
        let (mut held, mut knees) = (Vec::new(), Vec::new());
        for repetition in repetitions {
            let runs: Vec<_> = self
                .rates
                .iter()
                .filter_map(|rate| {
                    let of_repetition = |run: &&RunOutcome| run.repetition == Some(repetition);
                    Some((&rate.load, rate.outcomes.iter().find(of_repetition)?))
                })
                .collect();
            let holds = runs.iter().take_while(|(load, run)| run.met >= load.slo.share).last();
            held.push(holds.map_or(0.0, |(load, _)| load.rate));
            let best = runs.iter().max_by(|a, b| a.1.goodput.total_cmp(&b.1.goodput));
            knees.extend(best.map(|(load, _)| load.rate));
        }
        BTreeMap::from([(Measure::HeldRate, held), (Measure::Knee, knees)])
    }
}

impl Rate {
    /// Returns the goodput and the latencies of each valid run. A latency that a run has no value for is left out: the runs
    /// that have one would be the better ones.
    fn values(&self) -> BTreeMap<Measure, Vec<f64>> {
        let mut values = BTreeMap::from([(
            Measure::Goodput,
            self.outcomes.iter().map(|run| run.goodput).collect::<Vec<f64>>(),
        )]);
        for measure in self.outcomes.iter().flat_map(|run| run.latencies.keys()) {
            let of_runs = self.outcomes.iter().map(|run| run.latencies.get(measure).copied().flatten());
            values.extend(of_runs.collect::<Option<Vec<f64>>>().map(|found| (*measure, found)));
        }
        values
    }
}
