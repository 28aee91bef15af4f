//! A row for each run.

use super::{super::Report, Grid, cell};
use crate::analysis::{Measure, RunKind};

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Runs",
        "Contention is the flag of TR117: an overlap efficiency below 75 %.",
        &[
            "run",
            "condition",
            "kind",
            "agents",
            "wall",
            "overlap speedup",
            "overlap efficiency",
            "contention",
            "true speedup",
            "balance",
            "throughput",
            "delta",
            "first token",
            "gap p50",
            "gap p99",
            "lag p99",
            "chunks",
            "failures",
        ],
        3,
    );
    for run in &report.analysis.runs {
        let kind = match run.kind {
            RunKind::Solo => "solo",
            RunKind::Together => "together",
            RunKind::Open => "open",
        };
        let of = |measure: Measure| cell(measure.of(run).map(|value| measure.show(value)));
        let contention =
            run.overlap.filter(|_| run.kind == RunKind::Together).map(|overlap| overlap.contention);
        grid.rows.push(vec![
            run.id.to_string(),
            run.condition.clone(),
            kind.into(),
            run.agents.to_string(),
            Measure::Wall.show(run.wall),
            of(Measure::OverlapSpeedup),
            of(Measure::OverlapEfficiency),
            cell(contention.map(|contention| if contention { "yes" } else { "no" }.into())),
            of(Measure::TrueSpeedup),
            of(Measure::Balance),
            of(Measure::Throughput),
            of(Measure::ThroughputDelta),
            of(Measure::FirstToken),
            of(Measure::GapP50),
            of(Measure::GapP99),
            of(Measure::LagP99),
            of(Measure::ChunksPerSecond),
            run.failures.len().to_string(),
        ]);
    }
    grid
}
