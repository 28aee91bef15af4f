//! Bursts: the busiest stretch of the runs of a condition.

use std::collections::HashMap;

use super::{Analysis, RunKind, statistic::percentile};

/// The busiest stretch of a window's length in the concurrent runs of a condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    /// The run.
    pub(crate) run: u32,
    /// Chunks per second in it.
    pub(crate) rate: f64,
    /// The rate divided by that of the median window of the run, each by its own busiest stretch. `None`: the run has fewer
    /// than three windows with a chunk.
    pub(crate) of_median: Option<f64>,
}

/// With fewer windows, none of them is usual.
const WINDOWS: usize = 3;

impl Analysis {
    /// Returns the burst of each condition, in their order. `None`: there are no chunks.
    pub(crate) fn bursts(&self) -> Vec<Option<Burst>> {
        let mut rates: HashMap<u32, Vec<f64>> = HashMap::new();
        for window in self.windows.iter().filter(|window| window.chunks_per_second > 0.0) {
            rates.entry(window.run).or_default().push(window.chunks_per_second);
        }
        let of_run = |run: u32| {
            let rates = rates.get(&run)?;
            let rate = rates.iter().copied().fold(0.0, f64::max);
            let median = percentile(rates, 0.5).ok().filter(|_| rates.len() >= WINDOWS);
            Some(Burst { run, rate, of_median: median.map(|median| rate / median) })
        };
        let of_condition = |name: &str| {
            let runs = self.runs.iter().filter(|run| {
                run.condition == name && run.kind == RunKind::Together && run.failures.is_empty()
            });
            runs.filter_map(|run| of_run(run.id)).max_by(|a, b| a.rate.total_cmp(&b.rate))
        };
        self.conditions.iter().map(|found| of_condition(&found.condition.name)).collect()
    }
}
