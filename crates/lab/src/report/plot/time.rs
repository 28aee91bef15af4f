//! Lag and chunks per second over time.

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{HEIGHT, around, colour, draw, small},
};

/// The maximum number of windows of a plot. If there are more, the windows of each stretch are combined.
const WINDOWS: usize = 1500;

pub(super) fn plot(report: &Report) -> Option<Plot> {
    let mut windows: Vec<(f64, f64, Option<f64>)> = report
        .analysis
        .windows
        .iter()
        .map(|window| {
            let lag = window.lag.map(|lag| 1e3 * lag.p99);
            (window.start, window.chunks_per_second, lag)
        })
        .collect();
    windows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let stride = windows.len().div_ceil(WINDOWS).max(1);
    let windows: Vec<(f64, f64, Option<f64>)> = windows
        .chunks(stride)
        .map(|part| {
            let chunks = part.iter().map(|window| window.1).sum::<f64>() / part.len() as f64;
            (part[0].0, chunks, part.iter().filter_map(|window| window.2).reduce(f64::max))
        })
        .collect();
    let (first, last) = around(windows.iter().map(|window| window.0))?;
    let (_, chunks) = around(windows.iter().map(|window| window.1))?;
    let lags = around(windows.iter().filter_map(|window| window.2)).map_or(1.0, |(_, high)| high);
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
        let bars = windows.iter().map(|window| {
            PathElement::new([(window.0, 0.0), (window.0, window.1)], colour(4).mix(0.8).stroke_width(2))
        });
        chart
            .draw_series(bars)?
            .label("chunks per second")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour(4).stroke_width(2)));
        let dots = windows
            .iter()
            .filter_map(|window| Some(Circle::new((window.0, window.2?), 2, colour(1).filled())));
        chart
            .draw_secondary_series(dots)?
            .label("lag p99")
            .legend(|(x, y)| Circle::new((x + 8, y), 3, colour(1).filled()));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(TRANSPARENT)
            .label_font(small())
            .draw()?;
        Ok(())
    })?;
    Some(Plot {
        title: "Lag and chunks over time".into(),
        caption: "Second by second over all runs. Bars: chunks of all agents. Dots: lag of the event loop."
            .into(),
        svg,
    })
}
