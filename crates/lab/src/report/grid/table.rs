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
    /// The columns in the order of their importance. A narrow terminal leaves out the last ones.
    pub(in crate::report) order: &'static [&'static str],
    /// The number of columns without which the table says nothing. If they do not fit, their cells are broken into lines.
    pub(in crate::report) least: usize,
}

impl Grid {
    pub(super) fn new(title: &'static str, about: &'static str, header: &[&str], texts: usize) -> Grid {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Grid { title, about, header, rows: Vec::new(), texts, order: &[], least: 2 }
    }

    /// Returns the table without the least important columns that do not fit.
    pub(in crate::report) fn fitting(&self, width: Option<u16>) -> Grid {
        let Some(width) = width.map(usize::from) else { return self.clone() };
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).chain(self.header.get(column));
            // Two spaces of padding, and one between columns.
            3 + cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let place = |name: &&str| self.header.iter().position(|header| header == name);
        let is_empty =
            |column: &usize| self.rows.iter().all(|row| row.get(*column).is_none_or(|cell| cell == NONE));
        let mut order: Vec<usize> = self.order.iter().filter_map(place).collect();
        // A column without a value says less than every other one.
        order.sort_by_key(is_empty);
        let mut left = width;
        let mut kept: Vec<usize> = Vec::new();
        for column in order {
            let fits = wide(column) <= left;
            if !fits && kept.len() >= self.least {
                break;
            }
            left = left.saturating_sub(wide(column));
            kept.push(column);
        }
        kept.sort_unstable();
        let pick = |row: &Vec<String>| kept.iter().filter_map(|column| row.get(*column).cloned()).collect();
        Grid {
            header: pick(&self.header),
            rows: self.rows.iter().map(pick).collect(),
            texts: kept.iter().filter(|column| **column < self.texts).count(),
            ..self.clone()
        }
    }
}

/// The cell of a value that there is not.
const NONE: &str = "–";

/// Returns the value, or a dash if there is none.
pub(super) fn cell(value: Option<String>) -> String {
    value.unwrap_or_else(|| NONE.into())
}

/// Formats an interval in the unit of the value next to it.
pub(super) fn range(measure: Measure, interval: Interval, beside: f64) -> String {
    let (low, high) = measure.range(interval, beside);
    format!("[{low}, {high}]")
}
