//! Throughput by the number of agents.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Condition, RunSummary,
    statistic::{Scaling, fit_scaling},
};

/// Conditions that differ only in the number of agents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Series {
    /// The series' name.
    pub(crate) name: String,
    /// The number of agents and the tokens per second of each run, solo runs included.
    pub(crate) points: Vec<(f64, f64)>,
    /// The fit of the Universal Scalability Law. `None`: there are fewer than four runs or three numbers of agents.
    pub(crate) scaling: Option<Scaling>,
}

impl Series {
    /// Returns every series of the conditions.
    pub(super) fn all(conditions: &[Condition], runs: &[RunSummary], level: f64) -> Vec<Series> {
        let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for condition in conditions {
            if let Some(series) = &condition.series {
                members.entry(series).or_default().push(&condition.name);
            }
        }
        members
            .into_iter()
            .map(|(name, members)| {
                let of_series = runs.iter().filter(|run| members.contains(&run.condition.as_str()));
                let points: Vec<(f64, f64)> =
                    of_series.filter_map(|run| Some((run.agents as f64, run.throughput?))).collect();
                let (streams, throughputs): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
                Series { name: name.into(), points, scaling: fit_scaling(&streams, &throughputs, level).ok() }
            })
            .collect()
    }

    /// Returns the number of agents with the highest mean throughput as a sentence. `None`: there are no two numbers.
    pub(super) fn best(&self) -> Option<String> {
        let mut rates: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (agents, rate) in &self.points {
            rates.entry(*agents as u64).or_default().push(*rate);
        }
        let means =
            rates.iter().map(|(agents, rates)| (*agents, rates.iter().sum::<f64>() / rates.len() as f64));
        let means: Vec<(u64, f64)> = means.collect();
        let ((fewest, least), others) = means.split_first()?;
        let (agents, most) =
            others.iter().fold((*fewest, *least), |best, next| if next.1 > best.1 { *next } else { best });
        let name = &self.name;
        let ran = means.iter().map(|(agents, _)| agents.to_string()).collect::<Vec<_>>().join(", ");
        Some(format!(
            "{name}: of {ran} agents, {agents} had the highest throughput, {most:.0} tok/s, {:.1} times that of {fewest}",
            most / least
        ))
    }

    /// Returns it as a sentence.
    #[must_use]
    pub(crate) fn sentence(&self) -> String {
        let name = &self.name;
        let Some(scaling) = self.scaling else {
            return format!("{name}: too few runs or numbers of agents to find the peak of the throughput");
        };
        let law = format!("σ = {:.3}, κ = {:.5}", scaling.contention.value, scaling.coherency.value);
        match scaling.peak {
            Some(peak) if peak.seen => format!(
                "{name}: throughput peaks at {:.1} agents ({:.1} to {:.1}) with {:.0} tok/s; {law}",
                peak.streams, peak.interval.low, peak.interval.high, peak.throughput,
            ),
            _ => format!("{name}: no certain peak of the throughput, since κ may be 0; {law}"),
        }
    }
}
