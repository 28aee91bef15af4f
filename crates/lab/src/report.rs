//! Reports of recordings: tables for a terminal, JSON for programs, one HTML page for people.
//!
//! The module turns text into text: [`crate::experiment::recording`] reads recordings, and the caller writes files.

mod grid;
mod html;
mod json;
mod merge;
mod plot;
mod text;

use serde::Serialize;

use crate::{
    analysis::{Analysis, Recording, Settings, analyse},
    experiment::recording::{Environment, Problem, Recorded},
};

/// The analysis of recordings, ready to be formatted.
#[derive(Clone, Debug)]
pub struct Report {
    /// The recordings.
    pub sources: Vec<Source>,
    /// All rows.
    pub recording: Recording,
    /// The analysis.
    pub analysis: Analysis,
}

/// A recording of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its folder's name.
    pub name: String,
    /// The name of its plan.
    pub plan: Option<String>,
    /// Its environment.
    pub environment: Option<Environment>,
    /// The parts that were left out, with the reasons.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Analyses recordings together. If there are several, each condition has the name of its recording as a prefix.
    #[must_use]
    pub fn of(recorded: Vec<Recorded>, settings: &Settings) -> Report {
        let (sources, recording) = merge::merge(recorded);
        let analysis = analyse(&recording, settings);
        Report { sources, recording, analysis }
    }

    /// Returns tables for a terminal with this many columns. Without a width, lines are not wrapped.
    #[must_use]
    pub fn text(&self, width: Option<u16>) -> String {
        text::text(self, width)
    }

    /// Returns JSON in the format of docs/reference/report-format.md.
    #[must_use]
    pub fn json(&self) -> String {
        json::json(self)
    }

    /// Returns one page with plots that needs no other file.
    #[must_use]
    pub fn html(&self) -> String {
        html::html(self)
    }
}
