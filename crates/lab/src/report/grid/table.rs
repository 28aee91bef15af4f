//! A table, independent of its output format.

use crate::analysis::{Measure, statistic::Interval};

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::report) struct Grid {
    pub(in crate::report) title: &'static str,
    /// A note for the reader.
    pub(in crate::report) about: &'static str,
    pub(in crate::report) header: Vec<String>,
    pub(in crate::report) rows: Vec<Vec<String>>,
    /// The number of text columns from the left. The others are numbers.
    pub(in crate::report) texts: usize,
}

impl Grid {
    pub(super) fn new(title: &'static str, about: &'static str, header: &[&str], texts: usize) -> Grid {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Grid { title, about, header, rows: Vec::new(), texts }
    }
}

/// Returns the value, or a dash if there is none.
pub(super) fn cell(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".into())
}

/// Formats an interval in the unit of the value next to it.
pub(super) fn range(measure: Measure, interval: Interval) -> String {
    let number = |value: f64| {
        let shown = measure.show(value);
        shown.split([' ', '/']).next().unwrap_or_default().to_owned()
    };
    format!("[{}, {}]", number(interval.low), number(interval.high))
}
