//! A row for each condition whose GPUs were read.

use super::{super::Report, Grid, cell, range};
use crate::analysis::{ConditionSummary, Measure};

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Energy",
        "Energy of all GPUs that were read, from their energy counters or else from their power, over the concurrent runs in \
         which no agent failed. It includes idle power and the work of other programs. Tokens are output tokens of all agents.",
        &["condition", "runs", "energy per token", "power"],
        1,
    );
    for condition in &report.analysis.conditions {
        let measured = condition.values(Measure::Watts);
        if !measured.is_empty() {
            grid.rows.push(vec![
                condition.condition.name.clone(),
                measured.len().to_string(),
                cell(with_interval(condition, Measure::JoulesPerToken)),
                cell(with_interval(condition, Measure::Watts)),
            ]);
        }
    }
    grid
}

fn with_interval(condition: &ConditionSummary, measure: Measure) -> Option<String> {
    let mean = condition.mean(measure)?;
    let range = mean.interval.map_or(String::new(), |interval| format!(" {}", range(measure, interval)));
    Some(format!("{}{range}", measure.show(mean.value)))
}
