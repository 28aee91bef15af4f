//! Goodput by the rate of an open-loop load, with the rates that held the SLO and the knee.

use plotters::{coord::types::RangedCoordf64, prelude::*};

use super::{
    Plot,
    canvas::{Area, Drawn, GREY, HEIGHT, colour, draw, legend, small},
};
use crate::analysis::{Rate, Sweep, statistic::Mean};

/// The colours of the goodput, of the knee and of the rates that held the SLO.
const GOODPUT: usize = 0;
const KNEE: usize = 1;
const HELD: usize = 2;

/// Draws a sweep with at least two rates that have valid runs.
pub(super) fn plot(sweep: &Sweep) -> Option<Plot> {
    let points: Vec<(&Rate, Mean)> =
        sweep.rates.iter().filter_map(|rate| Some((rate, rate.goodput?))).collect();
    let [(first, _), .., (last, _)] = points.as_slice() else { return None };
    let right = 1.06 * last.load.rate;
    let highest = |(_, goodput): &(&Rate, Mean)| {
        goodput.interval.map_or(goodput.value, |interval| interval.high.max(goodput.value))
    };
    let top = 1.1 * points.iter().map(highest).fold(0.0, f64::max).max(0.3 * last.load.rate);
    let svg = draw(HEIGHT, |area| paint(area, sweep, &points, right, top))?;
    Some(Plot {
        title: format!("Goodput of {}", sweep.name),
        caption: format!(
            "Requests per second that met the SLO ({}), by the rate of the load. Filled: the SLO held; hollow: it was \
             missed. Vertical lines through the points are 95 % intervals. {}",
            first.load.slo.text(),
            sweep.knee_sentence()
        ),
        svg,
    })
}

fn paint(area: &Area<'_>, sweep: &Sweep, points: &[(&Rate, Mean)], right: f64, top: f64) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(38)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    if let Some(holds) = sweep.holds {
        let held = Rectangle::new([(0.0, 0.0), (holds, top)], colour(HELD).mix(0.14).filled());
        chart
            .draw_series([held])?
            .label("SLO held")
            .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 16, y + 5)], colour(HELD).mix(0.3).filled()));
    }
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("requests per second that were due")
        .y_desc("requests per second that met the SLO")
        .label_style(small())
        .draw()?;
    let all = right.min(top);
    chart
        .draw_series(LineSeries::new([(0.0, 0.0), (all, all)], GREY.stroke_width(1)))?
        .label("every request")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], GREY.stroke_width(1)));
    if let Some(knee) = sweep.knee {
        chart
            .draw_series([PathElement::new([(knee, 0.0), (knee, top)], colour(KNEE).stroke_width(2))])?
            .label("knee")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour(KNEE).stroke_width(2)));
    }
    paint_goodput(&mut chart, points)?;
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the points with their intervals, and the line through them.
fn paint_goodput<'b>(chart: &mut Chart<'_, 'b>, points: &[(&Rate, Mean)]) -> Drawn {
    let line = points.iter().map(|(rate, goodput)| (rate.load.rate, goodput.value));
    chart
        .draw_series(LineSeries::new(line, colour(GOODPUT).stroke_width(2)))?
        .label("goodput")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour(GOODPUT).stroke_width(2)));
    let intervals = points.iter().filter_map(|(rate, goodput)| {
        let (interval, at) = (goodput.interval?, rate.load.rate);
        let ends = [(at, interval.low), (at, interval.high)];
        Some(PathElement::new(ends, colour(GOODPUT).stroke_width(2)))
    });
    chart.draw_series(intervals)?;
    let place = |(rate, goodput): &(&Rate, Mean)| (rate.load.rate, goodput.value);
    let missed = points.iter().filter(|(rate, _)| rate.holds != Some(true));
    chart.draw_series(points.iter().map(|point| Circle::new(place(point), 5, colour(GOODPUT).filled())))?;
    chart.draw_series(missed.map(|point| Circle::new(place(point), 3, WHITE.filled())))?;
    Ok(())
}
