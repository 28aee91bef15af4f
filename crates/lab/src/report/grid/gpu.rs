//! A row for each quantity of the GPU.

use super::{super::Report, Grid};
use crate::analysis::Spread;

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "GPU",
        "All samples of all GPUs and recordings, whether a run was in progress or not.",
        &["quantity", "samples", "mean", "p50", "p95", "max"],
        1,
    );
    let Some(gpu) = &report.analysis.gpu else { return grid };
    let mut row = |name: &str, spread: Option<Spread>, show: fn(f64) -> String| {
        let Some(spread) = spread else { return };
        let mut row = vec![name.to_owned(), spread.n.to_string()];
        row.extend([spread.mean, spread.p50, spread.p95, spread.max].map(show));
        grid.rows.push(row);
    };
    row("power", gpu.watts, |value| format!("{value:.1} W"));
    row("utilization", gpu.utilization, |value| format!("{:.1} %", 100.0 * value));
    row("memory in use", gpu.memory, |value| format!("{:.2} GiB", value / f64::from(1 << 30)));
    grid
}
