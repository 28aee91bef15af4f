//! Lag and chunks per second over time.

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{HEIGHT, around, colour, draw, legend, small},
};
use crate::analysis::Window;

/// The maximum number of windows of a plot. If there are more, the windows of each stretch are combined.
const WINDOWS: usize = 1500;

/// Successive windows that are drawn as one.
struct Stretch {
    /// In seconds since the recording began.
    start: f64,
    chunks_per_second: f64,
    /// The highest 99th percentile, in milliseconds.
    lag: Option<f64>,
}

pub(super) fn plot(report: &Report) -> Option<Plot> {
    let stretches = stretches(&report.analysis.windows);
    let (first, last) = around(stretches.iter().map(|one| one.start))?;
    let (_, chunks) = around(stretches.iter().map(|one| one.chunks_per_second))?;
    let lags = around(stretches.iter().filter_map(|one| one.lag)).map_or(1.0, |(_, high)| high);
    let svg = draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(60)
            .right_y_label_area_size(60)
            .build_cartesian_2d(first..last, 0.0..chunks)?
            .set_secondary_coord(first..last, 0.0..lags);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("seconds since the recording began")
            .y_desc("chunks per second")
            .label_style(small())
            .draw()?;
        chart.configure_secondary_axes().y_desc("lag p99, milliseconds").label_style(small()).draw()?;
        let bars = stretches.iter().map(|one| {
            let ends = [(one.start, 0.0), (one.start, one.chunks_per_second)];
            PathElement::new(ends, colour(4).mix(0.8).stroke_width(2))
        });
        chart
            .draw_series(bars)?
            .label("chunks per second")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour(4).stroke_width(2)));
        let dots = stretches
            .iter()
            .filter_map(|one| Some(Circle::new((one.start, one.lag?), 2, colour(1).filled())));
        chart
            .draw_secondary_series(dots)?
            .label("lag p99")
            .legend(|(x, y)| Circle::new((x + 8, y), 3, colour(1).filled()));
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })?;
    Some(Plot {
        title: "Lag and chunks over time".into(),
        caption: "Second by second over all runs. Bars: chunks of all agents. Dots: lag of the event loop."
            .into(),
        svg,
    })
}

/// Combines the windows to at most [`WINDOWS`] stretches, in their order in time.
fn stretches(windows: &[Window]) -> Vec<Stretch> {
    let mut windows: Vec<&Window> = windows.iter().collect();
    windows.sort_by(|a, b| a.start.total_cmp(&b.start));
    let stride = windows.len().div_ceil(WINDOWS).max(1);
    let combined = windows.chunks(stride).map(|part| Stretch {
        start: part[0].start,
        chunks_per_second: part.iter().map(|window| window.chunks_per_second).sum::<f64>()
            / part.len() as f64,
        lag: part.iter().filter_map(|window| window.lag).map(|lag| 1e3 * lag.p99).reduce(f64::max),
    });
    combined.collect()
}
