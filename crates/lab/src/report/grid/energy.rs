//! A row for each condition and each load whose GPUs were read.

use super::{super::Report, Grid, cell, range};
use crate::analysis::{Measure, statistic::Mean};

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Energy",
        "Energy of all GPUs that were read, from their energy counters or else from their power, over the concurrent runs in \
         which no agent failed, and over the valid runs of open-loop loads. It includes idle power and the work of other programs. Tokens are output tokens of all agents.",
        &["condition", "runs", "energy per token", "power", "energy of a run"],
        1,
    );
    let conditions = report.analysis.conditions.iter().map(|found| (&found.condition.name, found.energy));
    let rates = report.analysis.open.iter().flat_map(|sweep| &sweep.rates);
    let loads = rates.map(|rate| (&rate.load.condition, rate.energy));
    for (name, energy) in conditions.chain(loads) {
        let Some(energy) = energy else { continue };
        grid.rows.push(vec![
            name.clone(),
            energy.runs.to_string(),
            cell(energy.joules_per_token.map(|mean| with_interval(Measure::JoulesPerToken, mean))),
            with_interval(Measure::Watts, energy.watts),
            joules(energy.joules),
        ]);
    }
    grid
}

fn with_interval(measure: Measure, mean: Mean) -> String {
    let range =
        mean.interval.map_or(String::new(), |interval| format!(" {}", range(measure, interval, mean.value)));
    format!("{}{range}", measure.show(mean.value))
}

fn joules(mean: Mean) -> String {
    let range =
        mean.interval.map_or(String::new(), |found| format!(" [{:.1}, {:.1}]", found.low, found.high));
    format!("{:.1} J{range}", mean.value)
}
