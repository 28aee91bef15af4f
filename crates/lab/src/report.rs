//! Reports of recordings: tables for a terminal, JSON for programs, one HTML page for people.
//!
//! Text in, text out: reading recordings is [`crate::experiment::recording`]'s, writing files the caller's.

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

/// What recordings say, ready to be shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where it comes from.
    pub sources: Vec<Source>,
    /// All rows.
    pub recording: Recording,
    /// What they say.
    pub analysis: Analysis,
}

/// A recording that went into a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its folder's name.
    pub name: String,
    /// What its plan is called.
    pub plan: Option<String>,
    /// Where it ran.
    pub environment: Option<Environment>,
    /// What was left out, and why.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Analyses recordings together. If there are several, the conditions of each carry its name.
    #[must_use]
    pub fn of(recorded: Vec<Recorded>, settings: &Settings) -> Report {
        let (sources, recording) = merge::merge(recorded);
        let analysis = analyse(&recording, settings);
        Report { sources, recording, analysis }
    }

    /// Tables for a terminal that is so many columns wide; unbroken lines without a width.
    #[must_use]
    pub fn text(&self, width: Option<u16>) -> String {
        text::text(self, width)
    }

    /// JSON, as docs/reference/report-format.md describes it.
    #[must_use]
    pub fn json(&self) -> String {
        json::json(self)
    }

    /// One page with plots that needs nothing beside it.
    #[must_use]
    pub fn html(&self) -> String {
        html::html(self)
    }
}
