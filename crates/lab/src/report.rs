//! Reports of recordings: tables for a terminal, JSON for programs, one HTML page for people.
//!
//! The module turns text into text: [`crate::experiment::recording`] reads recordings, and the caller writes files.

mod change;
mod contents;
mod grid;
mod html;
mod json;
mod merge;
mod plot;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

use crate::{
    analysis::{Evidence, Settings, Sweep, analyse, too_few},
    experiment::recording::Recorded,
};

pub use contents::Report;
use merge::Merged;
pub use source::Source;

impl Report {
    /// Analyses recordings together. If there are several, each condition has the name of its recording as a prefix.
    #[must_use]
    pub fn of(recorded: Vec<Recorded>, settings: &Settings) -> Report {
        let Merged { sources, recording, pairs } = merge::merge(recorded);
        let mut analysis = analyse(&recording, settings);
        analysis.compare(&pairs);
        Report { sources, recording, analysis }
    }

    /// Returns a sentence for each regression of a later recording against the first.
    ///
    /// # Errors
    /// Nothing could be compared, for the reason in the text.
    pub fn regressions(&self) -> Result<Vec<String>, String> {
        let between = &self.analysis.between;
        if between.comparisons.is_empty() && between.failures.is_empty() {
            return Err(self.not_compared());
        }
        if !between.is_decided() {
            let need = between.deciding().find_map(|found| match found.evidence {
                Evidence::TooFew { have, need } => Some(too_few(have, need, found.sampled)),
                _ => None,
            });
            return Err(format!(
                "nothing was compared: {}",
                need.unwrap_or_else(|| "no measure has values in both recordings".into())
            ));
        }
        Ok(between.regressions())
    }

    /// Returns why no condition of a later recording is compared with one of the first.
    fn not_compared(&self) -> String {
        let between = &self.analysis.between;
        match (between.apart.first(), between.pairs) {
            (Some(apart), _) => apart.clone(),
            (None, 0) => {
                "the recordings have no condition and no load in common, so nothing was compared".into()
            }
            _ => "nothing was compared: no condition and no load has a successful run in both recordings"
                .into(),
        }
    }

    /// Returns whether a load was recorded, not sent.
    fn is_live(&self, sweep: &Sweep) -> bool {
        self.analysis.live.groups.iter().any(|group| group.condition == sweep.name)
    }

    /// Returns the verdict and one table, for a terminal with this many columns. Without a width, nothing is wrapped
    /// or left out of the table.
    #[must_use]
    pub fn text(&self, width: Option<u16>) -> String {
        text::short(self, width)
    }

    /// Returns the verdict and every table, claim and note.
    #[must_use]
    pub fn full_text(&self, width: Option<u16>) -> String {
        text::full(self, width)
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
