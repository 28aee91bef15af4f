//! Throughput by the number of agents, with the curve of the Universal Scalability Law.

use plotters::prelude::*;

use super::{
    Plot,
    canvas::{GREY, HEIGHT, colour, draw, legend, small},
};
use crate::analysis::{Series, statistic::centre};

const POINTS: usize = 200;

pub(super) fn plot(series: &Series) -> Option<Plot> {
    let most = series.points.iter().map(|point| point.0).fold(0.0, f64::max);
    // The speedup is relative to the throughput of one agent: the fitted one, or the measured one if there is no fit.
    let ones: Vec<f64> = series.points.iter().filter(|point| point.0 == 1.0).map(|point| point.1).collect();
    let measured = (!ones.is_empty()).then(|| centre(&ones));
    let one = series.scaling.map(|scaling| scaling.one.value).or(measured).filter(|one| *one > 0.0)?;
    let curve = |agents: f64| Some(series.scaling?.at(agents) / one);
    let high = series.points.iter().map(|point| point.1 / one).fold(1.0, f64::max) * 1.15;
    if most <= 1.0 {
        return None;
    }
    let svg = draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..most * 1.04, 0.0..high)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("agents")
            .y_desc("speedup")
            .label_style(small())
            .draw()?;
        let ideal = [(0.0, 0.0), (high.min(most * 1.04), high.min(most * 1.04))];
        chart
            .draw_series(LineSeries::new(ideal, GREY.stroke_width(1)))?
            .label("linear scaling")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], GREY.stroke_width(1)));
        if series.scaling.is_some() {
            let line = (0..=POINTS).filter_map(|point| {
                let agents = 1.0 + (most * 1.04 - 1.0) * point as f64 / POINTS as f64;
                Some((agents, curve(agents)?))
            });
            chart
                .draw_series(LineSeries::new(line, colour(0).stroke_width(2)))?
                .label("Universal Scalability Law")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour(0).stroke_width(2)));
        }
        let dots = series
            .points
            .iter()
            .map(|point| Circle::new((point.0, point.1 / one), 4, colour(1).mix(0.7).filled()));
        chart
            .draw_series(dots)?
            .label("runs")
            .legend(|(x, y)| Circle::new((x + 8, y), 4, colour(1).filled()));
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })?;
    Some(Plot {
        title: format!("Scaling of {}", series.name),
        caption: format!("Tokens per second / those of one agent, {one:.1} tok/s. {}.", series.sentence()),
        svg,
    })
}
