//! Every condition compared with its baseline.

use std::ops::Range;

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{Area, Drawn, GREY, ROW, around, colour, draw, legend, shortened, small},
};
use crate::analysis::{Comparison, Measure};

/// The measures of a comparison, one above the other.
const MEASURES: [Measure; 2] = [Measure::TrueEfficiency, Measure::OverlapEfficiency];

pub(super) fn plot(report: &Report) -> Option<Plot> {
    let comparisons = &report.analysis.comparisons;
    let found: Vec<&Comparison> = MEASURES
        .iter()
        .flat_map(|measure| comparisons.iter().filter(move |found| found.measure == *measure))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for comparison in &found {
        if !names.contains(&comparison.condition.as_str()) {
            names.push(&comparison.condition);
        }
    }
    let ends = found.iter().flat_map(|found| {
        let interval = found.interval.map_or([0.0; 2], |interval| [interval.low, interval.high]);
        [0.0, 100.0 * found.difference, 100.0 * interval[0], 100.0 * interval[1]]
    });
    let (low, high) = around(ends)?;
    if names.is_empty() {
        return None;
    }
    let svg = draw(110 + ROW * names.len() as u32, |area| paint(area, low..high, &names, &found))?;
    Some(Plot {
        title: "Conditions against their baselines".into(),
        caption:
            "Differences of efficiency with 95 % intervals. An interval that contains 0 shows no difference."
                .into(),
        svg,
    })
}

/// Draws one row per condition.
fn paint(area: &Area<'_>, across: Range<f64>, names: &[&str], found: &[&Comparison]) -> Drawn {
    let rows = names.len();
    let (top, bottom) = (-1.9, rows as f64 - 0.4);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(38)
        .y_label_area_size(200)
        .build_cartesian_2d(across, bottom..top)?;
    let name = |row: &f64| {
        let place = row.round();
        let exact = (row - place).abs() < 1e-9 && place >= 0.0;
        names.get(place as usize).filter(|_| exact).map_or(String::new(), |name| shortened(name))
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("difference from the baseline, percentage points")
        .y_labels(4 * rows + 8)
        .y_label_formatter(&name)
        .label_style(small())
        .draw()?;
    let zero = PathElement::new([(0.0, bottom), (0.0, top)], GREY.stroke_width(1));
    chart.draw_series([zero])?;
    for (place, measure) in MEASURES.into_iter().enumerate() {
        let colour = colour(place);
        let of_measure = || found.iter().filter(|found| found.measure == measure);
        let height = |found: &Comparison| {
            let row = names.iter().position(|name| *name == found.condition).unwrap_or_default();
            row as f64 + if place == 0 { -0.14 } else { 0.14 }
        };
        let lines = of_measure().filter_map(|found| {
            let (interval, at) = (found.interval?, height(found));
            Some(PathElement::new(
                [(100.0 * interval.low, at), (100.0 * interval.high, at)],
                colour.stroke_width(2),
            ))
        });
        chart.draw_series(lines)?;
        let dots = of_measure()
            .map(|found| Circle::new((100.0 * found.difference, height(found)), 4, colour.filled()));
        chart
            .draw_series(dots)?
            .label(measure.name())
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)
}
