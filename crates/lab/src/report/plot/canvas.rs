//! What all plots share: size, colours, text.

use std::error::Error;

use plotters::{coord::Shift, prelude::*, style::text_anchor};

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), Box<dyn Error>>;

pub(super) const WIDTH: u32 = 860;
/// Of a plot that has no rows of its own.
pub(super) const HEIGHT: u32 = 380;
/// Of one row of a plot with a row a condition.
pub(super) const ROW: u32 = 26;

/// Told apart by eyes of every kind: Okabe and Ito, "Color universal design" (2008), without the yellow that paper
/// swallows.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(60, 60, 60),
];

pub(super) const GREY: RGBColor = RGBColor(140, 140, 140);

pub(super) fn colour(place: usize) -> RGBColor {
    COLOURS[place % COLOURS.len()]
}

/// An SVG of this height, or nothing if it can't be drawn.
pub(super) fn draw(height: u32, paint: impl FnOnce(&Area<'_>) -> Drawn) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area).ok()?;
        area.present().ok()?;
    }
    // Within a page it takes the page's width, and is no document of its own.
    let start = svg.find("<svg")?;
    let size = format!("width=\"{WIDTH}\" height=\"{height}\" ");
    Some(svg[start..].replacen(&size, "", 1))
}

pub(super) fn small() -> TextStyle<'static> {
    ("sans-serif", 13).into_font().color(&RGBColor(40, 40, 40))
}

/// Text that ends at its place, in the middle of its height.
pub(super) fn before() -> TextStyle<'static> {
    small().pos(text_anchor::Pos::new(text_anchor::HPos::Right, text_anchor::VPos::Center))
}

pub(super) fn centred() -> TextStyle<'static> {
    small().pos(text_anchor::Pos::new(text_anchor::HPos::Center, text_anchor::VPos::Center))
}

/// A range around values, a little wider. `None` without values.
pub(super) fn around(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let (low, high) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return None;
    }
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1e-3) };
    Some((low - margin, high + margin))
}

/// A label of so many letters at most.
pub(super) fn shortened(name: &str) -> String {
    const LETTERS: usize = 26;
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}
