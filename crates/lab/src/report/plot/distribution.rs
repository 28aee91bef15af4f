//! The distributions of gaps and lags: the share of values below each value.

use std::collections::HashMap;

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{HEIGHT, colour, draw, legend, shortened, small},
};
use crate::analysis::{Probe, RunKind, statistic::percentile_of_sorted};

/// The number of points of a curve.
const POINTS: usize = 160;
/// The maximum number of conditions that can be distinguished in one plot.
const CURVES: usize = 14;

pub(super) fn gaps(report: &Report) -> Option<Plot> {
    let values = report.recording.chunks.iter().map(|chunk| (chunk.run, chunk.gap));
    curves(
        report,
        values,
        "Gaps between chunks",
        "The share of gaps that are shorter, by condition, over the concurrent runs.",
    )
}

pub(super) fn lags(report: &Report) -> Option<Plot> {
    let by = |probe: Probe| {
        move |values: &mut Vec<(u32, f64)>| {
            let samples = report.recording.lag.iter().filter(|sample| sample.probe == probe);
            values.extend(samples.map(|sample| (sample.run, sample.lag)));
        }
    };
    let mut values = Vec::new();
    by(Probe::Schedule)(&mut values);
    if values.is_empty() {
        by(Probe::Yield)(&mut values);
    }
    let caption = "The share of probes with a shorter lag, by condition, over the concurrent runs.";
    curves(report, values, "Lag of the event loop", caption)
}

fn curves(
    report: &Report,
    values: impl IntoIterator<Item = (u32, f64)>,
    title: &str,
    caption: &str,
) -> Option<Plot> {
    let conditions = &report.analysis.conditions;
    let by_condition = by_condition(report, values);
    let ends = by_condition.iter().filter_map(|values| {
        Some((percentile_of_sorted(values, 0.001)?, percentile_of_sorted(values, 0.9999)?))
    });
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
        let shown = by_condition.iter().enumerate().filter(|(_, values)| !values.is_empty()).take(CURVES);
        for (place, values) in shown {
            let points = (0..=POINTS).filter_map(|point| {
                let share = point as f64 / POINTS as f64;
                Some((percentile_of_sorted(values, share)?.clamp(0.9 * low, 1.2 * high), share))
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

/// Returns the milliseconds of the concurrent runs, sorted, in the order of the conditions.
fn by_condition(report: &Report, values: impl IntoIterator<Item = (u32, f64)>) -> Vec<Vec<f64>> {
    let conditions = &report.analysis.conditions;
    let places: HashMap<u32, usize> = report
        .analysis
        .runs
        .iter()
        .filter(|run| run.kind == RunKind::Together)
        .filter_map(|run| {
            Some((run.id, conditions.iter().position(|found| found.condition.name == run.condition)?))
        })
        .collect();
    let mut by_condition: Vec<Vec<f64>> = vec![Vec::new(); conditions.len()];
    for (run, value) in values {
        if let Some(place) = places.get(&run).filter(|_| value.is_finite()) {
            // A logarithmic axis has no zero. A microsecond is below any visible value.
            by_condition[*place].push(1e3 * value.max(1e-6));
        }
    }
    by_condition.iter_mut().for_each(|values| values.sort_unstable_by(f64::total_cmp));
    by_condition
}
