//! A row for the prompts and one for the outputs of each condition.

use super::{super::Report, Grid};

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Lengths",
        "Tokens as Ollama counts them, over all requests that did not fail, solo runs included. Runs that warm up are left out.",
        &["condition", "of", "requests", "mean", "min", "p50", "p90", "p99", "max"],
        2,
    );
    for lengths in &report.analysis.lengths {
        for (of, spread) in [("prompt", lengths.prompt), ("output", lengths.output)] {
            let Some(spread) = spread else { continue };
            let mut row = vec![lengths.condition.clone(), of.to_owned(), spread.n.to_string()];
            let values = [spread.mean, spread.min, spread.p50, spread.p90, spread.p99, spread.max];
            row.extend(values.map(|tokens| format!("{tokens:.0}")));
            grid.rows.push(row);
        }
    }
    grid
}
