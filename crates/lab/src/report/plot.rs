//! Plots, as SVG.

mod canvas;
mod distribution;
mod duration;
mod forest;
mod matrix;
mod scaling;
mod time;

use super::Report;

/// A finished plot.
pub(super) struct Plot {
    pub(super) title: String,
    /// A description, also for people who cannot see the plot.
    pub(super) caption: String,
    pub(super) svg: String,
}

/// Returns every plot for which the report has figures.
pub(super) fn plots(report: &Report) -> Vec<Plot> {
    let mut plots: Vec<Option<Plot>> =
        vec![duration::plot(report), distribution::gaps(report), distribution::lags(report)];
    plots.extend(report.analysis.series.iter().map(scaling::plot));
    plots.extend([forest::plot(report), matrix::plot(report), time::plot(report)]);
    plots.into_iter().flatten().collect()
}
