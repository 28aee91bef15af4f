//! Tables, independent of their output format.

mod claim;
mod comparison;
mod condition;
mod energy;
mod gpu;
mod length;
mod live;
mod load;
mod relation;
mod run;
mod source;
mod table;

use super::Report;
use table::{cell, range};

pub(super) use table::Grid;

impl Grid {
    /// Returns the tables that come before the advice and the claims of a report. Empty ones are left out.
    pub(super) fn figures(report: &Report) -> Vec<Grid> {
        let grids = [
            condition::grid(report),
            load::grid(report),
            live::levels(report),
            live::scaling(report),
            live::phases(report),
            live::slowdowns(report),
            comparison::between(report),
            live::matched(report),
            comparison::grid(report),
            relation::grid(report),
            relation::regression(report),
            relation::scaling(report),
            energy::grid(report),
            gpu::grid(report),
            length::grid(report),
        ];
        grids.into_iter().filter(|grid| !grid.rows.is_empty()).collect()
    }

    /// Returns the table that matters most: the comparisons of the recordings, or else the conditions, or
    /// else the rates of live traffic, or else the open-loop loads, which stand beside live traffic, as of its replay.
    pub(super) fn main(report: &Report) -> Option<Grid> {
        let is_live_only = report.analysis.open.iter().all(|sweep| report.is_live(sweep));
        let live = if is_live_only { live::levels(report) } else { Grid::default() };
        let grids = [comparison::between_deciding(report), condition::grid(report), live, load::grid(report)];
        grids.into_iter().find(|grid| !grid.rows.is_empty())
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
