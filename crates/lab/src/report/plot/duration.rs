//! The duration of each agent, alone and together.

use std::collections::HashMap;

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{ROW, around, colour, draw, shortened, small},
};
use crate::analysis::RunKind;

pub(super) fn plot(report: &Report) -> Option<Plot> {
    let conditions = &report.analysis.conditions;
    let runs: HashMap<u32, (&str, RunKind)> =
        report.analysis.runs.iter().map(|run| (run.id, (run.condition.as_str(), run.kind))).collect();
    let points: Vec<(usize, RunKind, f64)> = report
        .recording
        .agents
        .iter()
        .filter(|agent| agent.failure.is_none())
        .filter_map(|agent| {
            let (condition, kind) = *runs.get(&agent.run)?;
            let row = conditions.iter().position(|found| found.condition.name == condition)?;
            Some((row, kind, agent.duration))
        })
        .collect();
    let (_, high) = around(points.iter().map(|point| point.2))?;
    let rows = conditions.len();
    let svg = draw(70 + ROW * rows as u32, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(200)
            .build_cartesian_2d(0.0..high, rows as f64 - 0.5..-0.5)?;
        let name = |row: &f64| {
            let place = row.round();
            let exact = (row - place).abs() < 1e-9 && place >= 0.0;
            let found = conditions.get(place as usize).filter(|_| exact);
            found.map_or(String::new(), |found| shortened(&found.condition.name))
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("seconds")
            .x_labels(10)
            .y_labels(2 * rows + 1)
            .y_label_formatter(&name)
            .y_label_style(small())
            .label_style(small())
            .draw()?;
        for (row, kind, seconds) in &points {
            let style = colour(*row);
            let (shift, filled) = match kind {
                RunKind::Solo => (-0.17, false),
                RunKind::Together | RunKind::Open => (0.17, true),
            };
            let style = if filled { style.mix(0.7).filled() } else { style.stroke_width(1) };
            chart.draw_series([Circle::new((*seconds, *row as f64 + shift), 3, style)])?;
        }
        Ok(())
    })?;
    Some(Plot {
        title: "Durations".into(),
        caption: "The duration of each agent: hollow above, alone; filled below, together with the others."
            .into(),
        svg,
    })
}
