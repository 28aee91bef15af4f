//! Plots, as SVG.

mod canvas;
mod distribution;
mod drawn;
mod duration;
mod forest;
mod goodput;
mod matrix;
mod scaling;
mod time;

use super::Report;

pub(super) use drawn::Plot;

/// Returns every plot for which the report has figures.
pub(super) fn plots(report: &Report) -> Vec<Plot> {
    let mut plots: Vec<Option<Plot>> = report.analysis.open.iter().map(goodput::plot).collect();
    plots.extend([duration::plot(report), distribution::gaps(report), distribution::lags(report)]);
    plots.extend(report.analysis.series.iter().map(scaling::plot));
    plots.extend([forest::plot(report), matrix::plot(report), time::plot(report)]);
    plots.into_iter().flatten().collect()
}
