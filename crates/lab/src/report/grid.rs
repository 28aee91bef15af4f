//! Tables, whatever they are drawn with.

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
    /// What a reader has to know of it.
    pub(super) about: &'static str,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// So many columns from the left are text; the others are numbers.
    pub(super) texts: usize,
}

impl Grid {
    fn new(title: &'static str, about: &'static str, header: &[&str], texts: usize) -> Grid {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Grid { title, about, header, rows: Vec::new(), texts }
    }

    /// The tables of a report that come before its advice and claims; empty ones are left out.
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

    /// Every run.
    pub(super) fn runs(report: &Report) -> Grid {
        run::grid(report)
    }

    /// The claims of Technical Report 117.
    pub(super) fn claims(report: &Report) -> Grid {
        claim::grid(report)
    }

    /// Where the figures come from.
    pub(super) fn sources(report: &Report) -> Grid {
        source::grid(report)
    }
}

/// What there is of a value, or a dash.
fn cell(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".into())
}

/// An interval in the unit of the value that it stands beside.
fn range(measure: Measure, interval: Interval) -> String {
    let number = |value: f64| {
        let shown = measure.show(value);
        shown.split([' ', '/']).next().unwrap_or_default().to_owned()
    };
    format!("[{}, {}]", number(interval.low), number(interval.high))
}
