//! Pearson's r of every two measures.

use plotters::prelude::*;

use super::{
    super::Report,
    Plot,
    canvas::{WIDTH, before, centred, draw},
};

const CELL: i32 = 54;
const LEFT: i32 = 170;
const TOP: i32 = 96;

pub(super) fn plot(report: &Report) -> Option<Plot> {
    let matrix = &report.analysis.matrix;
    let names: Vec<&str> = matrix.measures.iter().map(|measure| measure.name()).collect();
    if matrix.rows.iter().flatten().flatten().next().is_none() || matrix.runs < 3 {
        return None;
    }
    let size = names.len() as i32;
    let svg = draw((TOP + CELL * size + 8) as u32, |area| {
        debug_assert!(LEFT + CELL * size < WIDTH as i32);
        for (place, name) in names.iter().enumerate() {
            let middle = CELL * place as i32 + CELL / 2;
            area.draw(&Text::new(*name, (LEFT - 8, TOP + middle), before()))?;
            // The name of a column is split into two lines, so that neighbouring names do not overlap.
            for (line, words) in halves(name).iter().enumerate() {
                let at = (LEFT + middle, TOP - 30 + 15 * line as i32 - 15 * (place as i32 % 2) * 2);
                area.draw(&Text::new(words.clone(), at, centred()))?;
            }
        }
        for (row, values) in matrix.rows.iter().enumerate() {
            for (column, r) in values.iter().enumerate() {
                let at = (LEFT + CELL * column as i32, TOP + CELL * row as i32);
                let end = (at.0 + CELL - 2, at.1 + CELL - 2);
                area.draw(&Rectangle::new([at, end], shade(*r).filled()))?;
                let text = r.map_or("–".to_owned(), |r| format!("{r:.2}"));
                let style = centred().color(if r.is_some_and(|r| r.abs() > 0.6) { &WHITE } else { &BLACK });
                area.draw(&Text::new(text, (at.0 + CELL / 2, at.1 + CELL / 2), style))?;
            }
        }
        Ok(())
    })?;
    Some(Plot {
        title: "Correlations".into(),
        caption: format!(
            "Pearson's r over {} runs together. Blue: they rise together; orange: one falls as the other rises.",
            matrix.runs
        ),
        svg,
    })
}

fn shade(r: Option<f64>) -> RGBColor {
    let Some(r) = r else { return RGBColor(236, 236, 236) };
    let full = if r >= 0.0 { (0.0, 114.0, 178.0) } else { (213.0, 94.0, 0.0) };
    let mix = |channel: f64| (255.0 + (channel - 255.0) * r.abs().min(1.0)) as u8;
    RGBColor(mix(full.0), mix(full.1), mix(full.2))
}

fn halves(name: &str) -> Vec<String> {
    match name.rsplit_once(' ') {
        Some((first, last)) => vec![first.to_owned(), last.to_owned()],
        None => vec![String::new(), name.to_owned()],
    }
}
