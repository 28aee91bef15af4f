//! A row for each condition.

use super::{super::Report, Grid, cell, range};
use crate::analysis::{ConditionSummary, Measure};

/// The columns by importance.
const ORDER: [&str; 14] = [
    "condition",
    "true efficiency",
    "throughput",
    "first token",
    "gap p99",
    "burst",
    "runs",
    "failed",
    "agents",
    "lag p99",
    "CPU per token",
    "overlap efficiency",
    "gap p50",
    "alone",
];

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Conditions",
        "Means over the concurrent runs in which no agent failed, with 95 % intervals. The overlap efficiency, as in \
         TR117, shows how evenly the durations match. The true efficiency compares the time together with the times of \
         the agents alone. Burst: the most chunks per second in a window that begins at any time, of all runs.",
        &[
            "condition",
            "agents",
            "runs",
            "failed",
            "alone",
            "true efficiency",
            "overlap efficiency",
            "throughput",
            "first token",
            "gap p50",
            "gap p99",
            "lag p99",
            "chunks",
            "burst",
            "CPU per token",
        ],
        1,
    );
    grid.order = &ORDER;
    for (condition, burst) in report.analysis.conditions.iter().zip(report.analysis.bursts()) {
        let truth = condition.truth.map(|truth| {
            let shown = Measure::TrueEfficiency.show(truth.efficiency);
            truth.efficiency_interval.map_or(shown.clone(), |interval| {
                format!("{shown} {}", range(Measure::TrueEfficiency, interval, truth.efficiency))
            })
        });
        let mut row = vec![
            condition.condition.name.clone(),
            condition.agents.to_string(),
            condition.runs.to_string(),
            condition.failed.to_string(),
            condition.solo_runs.to_string(),
            cell(truth),
        ];
        row.push(cell(with_interval(condition, Measure::OverlapEfficiency)));
        row.push(cell(with_interval(condition, Measure::Throughput)));
        let plain = [
            Measure::FirstToken,
            Measure::GapP50,
            Measure::GapP99,
            Measure::LagP99,
            Measure::ChunksPerSecond,
        ];
        let mean = |measure: Measure| cell(condition.mean(measure).map(|mean| measure.show(mean.value)));
        row.extend(plain.map(mean));
        row.push(cell(burst.map(|burst| Measure::ChunksPerSecond.show(burst.rate))));
        row.push(mean(Measure::CpuPerToken));
        grid.rows.push(row);
    }
    grid
}

fn with_interval(condition: &ConditionSummary, measure: Measure) -> Option<String> {
    let mean = condition.mean(measure)?;
    let shown = measure.show(mean.value);
    Some(match mean.interval {
        Some(interval) => format!("{shown} {}", range(measure, interval, mean.value)),
        None => shown,
    })
}
