//! The size, colours and text styles that all plots share.

use std::error::Error;

use plotters::{
    coord::{CoordTranslate, Shift},
    prelude::*,
    style::text_anchor,
};

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), Box<dyn Error>>;

pub(super) const WIDTH: u32 = 860;
/// The height of a plot without rows.
pub(super) const HEIGHT: u32 = 380;
/// The height of a row, in a plot with one row per condition.
pub(super) const ROW: u32 = 26;

/// Colours that colour-blind people can distinguish: Okabe and Ito, "Color universal design" (2008), without the
/// yellow, which is too pale on white.
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

/// Returns an SVG of this height. `None`: it cannot be drawn.
pub(super) fn draw(height: u32, paint: impl FnOnce(&Area<'_>) -> Drawn) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area).ok()?;
        area.present().ok()?;
    }
    // Within a page, the plot takes the page's width and needs no declaration of its own document.
    let start = svg.find("<svg")?;
    let size = format!("width=\"{WIDTH}\" height=\"{height}\" ");
    Some(svg[start..].replacen(&size, "", 1))
}

/// Draws the names of the series that have one.
pub(super) fn legend<'a, CT: CoordTranslate>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, CT>,
    position: SeriesLabelPosition,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(TRANSPARENT)
        .label_font(small())
        .draw()?;
    Ok(())
}

pub(super) fn small() -> TextStyle<'static> {
    ("sans-serif", 13).into_font().color(&RGBColor(40, 40, 40))
}

/// Returns the style of text that ends at its position, centred vertically.
pub(super) fn before() -> TextStyle<'static> {
    small().pos(text_anchor::Pos::new(text_anchor::HPos::Right, text_anchor::VPos::Center))
}

pub(super) fn centred() -> TextStyle<'static> {
    small().pos(text_anchor::Pos::new(text_anchor::HPos::Center, text_anchor::VPos::Center))
}

/// Returns a range that is a little wider than the values. `None`: there are no values.
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

/// Shortens a label to a maximum number of letters.
pub(super) fn shortened(name: &str) -> String {
    const LETTERS: usize = 26;
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}
