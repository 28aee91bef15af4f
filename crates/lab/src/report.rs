//! Reports of recordings: tables for a terminal, JSON for programs, one HTML page for people.
//!
//! The module turns text into text: [`crate::experiment::recording`] reads recordings, and the caller writes files.

mod contents;
mod grid;
mod html;
mod json;
mod merge;
mod plot;
mod source;
mod text;

use crate::{
    analysis::{Settings, analyse},
    experiment::recording::Recorded,
};

pub use contents::Report;
pub use source::Source;

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
