//! The energy of runs, over the runs of a condition or of a load.

use serde::Serialize;

use super::{
    Measure,
    statistic::{Mean, mean},
};

/// The energy that all GPUs used during the runs that were measured. Intervals are over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Energy {
    /// The runs whose energy is known.
    pub(crate) runs: usize,
    /// Joules of a run.
    pub(crate) joules: Mean,
    /// The mean power during a run, in watts.
    pub(crate) watts: Mean,
    /// Joules divided by output tokens. `None`: no run has tokens.
    pub(crate) joules_per_token: Option<Mean>,
}

/// The resources that one run used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) joules: f64,
    /// Seconds.
    pub(super) wall: f64,
    pub(super) tokens: u64,
}

impl Energy {
    /// Returns the means over runs. `None`: the energy of no run is known.
    pub(super) fn over(runs: &[Used], level: f64) -> Option<Energy> {
        let over = |values: Vec<f64>| {
            let found = mean(&values, level).ok()?;
            let interval = found.interval.map(|interval| Measure::Watts.limit(interval));
            Some(Mean { interval, ..found })
        };
        let with_tokens = runs.iter().filter(|run| run.tokens > 0);
        Some(Energy {
            runs: runs.len(),
            joules: over(runs.iter().map(|run| run.joules).collect())?,
            watts: over(runs.iter().map(|run| run.joules / run.wall).collect())?,
            joules_per_token: over(with_tokens.map(|run| run.joules / run.tokens as f64).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_of_runs_has_means_over_runs_and_none_without_a_run() {
        assert_eq!(Energy::over(&[], 0.95), None);
        let run = |joules, tokens| Used { joules, wall: 2.0, tokens };
        let energy = Energy::over(&[run(100.0, 50), run(200.0, 0), run(300.0, 100)], 0.95).unwrap();
        assert_eq!((energy.runs, energy.joules.value, energy.watts.value), (3, 200.0, 100.0));
        let per_token = energy.joules_per_token.unwrap();
        assert_eq!((per_token.value, per_token.n), (2.5, 2));
        // The interval of these three by scipy.stats.t: 200 ± 248.4. Energy is not negative.
        assert_eq!(energy.joules.interval.unwrap().low, 0.0);
        assert!((energy.joules.interval.unwrap().high - 448.413_771).abs() < 1e-5, "{energy:?}");
    }
}
