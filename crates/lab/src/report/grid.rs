//! Tables, independent of their output format.

mod claim;
mod comparison;
mod condition;
mod gpu;
mod relation;
mod run;
mod source;

use super::Report;
use crate::analysis::{Measure, statistic::Interval};

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grid {
    pub(super) title: &'static str,
    /// A note for the reader.
    pub(super) about: &'static str,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// The number of text columns from the left. The others are numbers.
    pub(super) texts: usize,
}

impl Grid {
    fn new(title: &'static str, about: &'static str, header: &[&str], texts: usize) -> Grid {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Grid { title, about, header, rows: Vec::new(), texts }
    }

    /// Returns the tables that come before the advice and the claims of a report. Empty ones are left out.
    pub(super) fn figures(report: &Report) -> Vec<Grid> {
        let grids = [
            condition::grid(report),
            comparison::grid(report),
            relation::grid(report),
            relation::regression(report),
            relation::scaling(report),
            gpu::grid(report),
        ];
        grids.into_iter().filter(|grid| !grid.rows.is_empty()).collect()
    }

    /// Returns the table of every run.
    pub(super) fn runs(report: &Report) -> Grid {
        run::grid(report)
    }

    /// Returns the table of the claims of TR117.
    pub(super) fn claims(report: &Report) -> Grid {
        claim::grid(report)
    }

    /// Returns the table of the recordings.
    pub(super) fn sources(report: &Report) -> Grid {
        source::grid(report)
    }
}

/// Returns the value, or a dash if there is none.
fn cell(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".into())
}

/// Formats an interval in the unit of the value next to it.
fn range(measure: Measure, interval: Interval) -> String {
    let number = |value: f64| {
        let shown = measure.show(value);
        shown.split([' ', '/']).next().unwrap_or_default().to_owned()
    };
    format!("[{}, {}]", number(interval.low), number(interval.high))
}
