//! `report`: analyses recordings.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use console::Term;

use super::{CommandFailure, output};
use crate::{analysis::Settings, experiment::recording, report};

/// Analyse recordings of experiments, and write tables, JSON or one page with plots
///
/// A problem in a recording is reported with its file and line, and the rest is analysed. Recordings in the layout of
/// Technical Report 117 are read too.
#[derive(Args, Debug)]
pub(super) struct Report {
    /// The folders of the recordings, which are shown side by side. A folder without a recording stands for all
    /// recordings below it
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// text: tables; json: a document for programs (docs/reference/report-format.md); html: one page with plots
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
}

impl Report {
    pub(super) fn run(self) -> Result<(), CommandFailure> {
        let mut recorded = Vec::new();
        for folder in &self.recordings {
            recorded.extend(recording::read_all(folder).map_err(anyhow::Error::from)?);
        }
        let report = report::Report::of(recorded, &Settings::default());
        let text = match self.format {
            Format::Json => report.json(),
            Format::Html => report.html(),
            Format::Text => report.text(self.width()),
        };
        match &self.output {
            None => output::print(text),
            Some(file) => {
                let write = fs::write(file, text);
                Ok(write.with_context(|| format!("cannot write {}", file.display()))?)
            }
        }
    }

    /// The width of the terminal, or `None` if the output goes elsewhere, where lines are not wrapped.
    fn width(&self) -> Option<u16> {
        let terminal = Term::stdout();
        let shown = self.output.is_none() && terminal.is_term();
        shown.then(|| terminal.size().1)
    }
}
