//! The distributions of gaps and lags: the share of values below each value.

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{HEIGHT, colour, draw, legend, shortened, small},
};
use crate::analysis::{Curve, Curves, RunKind, RunSummary};

/// The number of points of a curve.
const POINTS: usize = 160;
/// The maximum number of conditions that can be distinguished in one plot.
const CURVES: usize = 14;

pub(super) fn gaps(report: &Report) -> Option<Plot> {
    curves(
        report,
        |curves| &curves.gaps,
        "Gaps between chunks",
        "The share of gaps that are shorter, by condition, over the concurrent runs.",
    )
}

pub(super) fn lags(report: &Report) -> Option<Plot> {
    let title = "Lag of the event loop";
    let caption = "The share of probes with a shorter lag, by condition, over the concurrent runs.";
    // The other probe misses what blocks the loop.
    curves(report, |curves| &curves.lags, title, caption)
        .or_else(|| curves(report, |curves| &curves.yields, title, caption))
}

fn curves(report: &Report, of: fn(&Curves) -> &Curve, title: &str, caption: &str) -> Option<Plot> {
    let conditions = &report.analysis.conditions;
    let by_condition: Vec<Curve> =
        conditions.iter().map(|found| of_condition(report, &found.condition.name, of)).collect();
    let milliseconds = |curve: &Curve, share: f64| curve.quantile(share).map(|seconds| 1e3 * seconds);
    let ends = by_condition
        .iter()
        .filter_map(|curve| Some((milliseconds(curve, 0.001)?, milliseconds(curve, 0.9999)?)));
    let (low, high) =
        ends.fold((f64::INFINITY, 0.0_f64), |(low, high), (first, last)| (low.min(first), high.max(last)));
    if low > high {
        return None;
    }
    let svg = draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d((0.9 * low..1.2 * high).log_scale(), 0.0..1.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("milliseconds")
            .y_desc("share below")
            .x_label_formatter(&|value| format!("{value}"))
            .label_style(small())
            .draw()?;
        let shown = by_condition.iter().enumerate().filter(|(_, curve)| !curve.is_empty()).take(CURVES);
        for (place, curve) in shown {
            let points = (0..=POINTS).filter_map(|point| {
                let share = point as f64 / POINTS as f64;
                Some((milliseconds(curve, share)?.clamp(0.9 * low, 1.2 * high), share))
            });
            let colour = colour(place);
            // The colours repeat, with thinner lines.
            let width = if place < super::canvas::COLOURS.len() { 2 } else { 1 };
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(width)))?
                .label(shortened(&conditions[place].condition.name))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(width)));
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })?;
    Some(Plot { title: title.into(), caption: caption.into(), svg })
}

/// Returns the distribution over the concurrent runs of a condition.
fn of_condition(report: &Report, condition: &str, of: fn(&Curves) -> &Curve) -> Curve {
    let together = |run: &&RunSummary| run.kind == RunKind::Together && run.condition == condition;
    let runs = report.analysis.runs.iter().filter(together);
    Curve::together(runs.filter_map(|run| Some(of(report.analysis.curves.get(&run.id)?))))
}
