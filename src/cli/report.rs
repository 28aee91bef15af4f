//! `report`: analyses recordings.

use std::{fs, io::IsTerminal, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{CommandFailure, output};
use crate::{
    analysis::Settings,
    experiment::recording::{self, Recorded},
    report,
};

/// The size from which reading shows a bar, in bytes. Less is read in a second.
const LARGE: u64 = 32 << 20;

/// Analyse recordings of experiments, and write tables, JSON or one page with plots
///
/// A problem in a recording is reported with its file and line, and the rest is analysed. Recordings in the layout of
/// Technical Report 117 are read too. Each condition or load of a later recording is compared with the same one of the
/// first. Exit code 3: --fail-on found a regression.
#[derive(Args, Debug)]
pub(super) struct Report {
    /// The folders of the recordings, which are shown side by side. A folder without a recording stands for all
    /// recordings below it
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// text: tables; json: a document for programs (docs/reference/report-format.md); html: one page with plots
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write every table, claim and note, and not only the verdict and one table
    #[arg(long)]
    full: bool,
    /// The file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The difference that does not matter, in percent of the baseline: a smaller one is "equivalent"
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    margin: f64,
    /// regression: exit with 3 if a condition or a load is worse than the same one of the first recording
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum FailOn {
    Regression,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "must be a number from 0 to 100".into())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
}

impl Report {
    pub(super) fn run(self) -> Result<(), CommandFailure> {
        let settings = Settings { margin: self.margin / 100.0, ..Settings::default() };
        let recorded = self.read(&settings)?;
        if self.fail_on.is_some() && recorded.len() < 2 {
            return Err(CommandFailure::Usage("--fail-on needs two recordings to compare".into()));
        }
        let report = report::Report::of(recorded, &settings);
        let text = match self.format {
            Format::Json => report.json(),
            Format::Html => report.html(),
            Format::Text if self.full => report.full_text(self.width()),
            Format::Text => report.text(self.width()),
        };
        match &self.output {
            None => output::print(text)?,
            Some(file) => {
                fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        match self.fail_on {
            None => Ok(()),
            Some(FailOn::Regression) => judge(&report),
        }
    }

    /// Reads the recordings, with a bar on stderr if that is a terminal and it takes long enough to wait for.
    fn read(&self, settings: &Settings) -> Result<Vec<Recorded>, CommandFailure> {
        let bytes = self.recordings.iter().map(|folder| recording::size(folder)).sum();
        let shown = bytes >= LARGE && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:20} {percent:>3} %  {eta} left  reading {wide_msg}")
            .expect("the template is valid")
            .progress_chars("━╸─");
        let bar = ProgressBar::with_draw_target(Some(bytes), target).with_style(style);
        let mut recorded = Vec::new();
        for folder in &self.recordings {
            bar.set_message(folder.display().to_string());
            let found = recording::read_all(folder, settings, &mut |bytes| bar.inc(bytes));
            recorded.extend(found.map_err(anyhow::Error::from)?);
        }
        bar.finish_and_clear();
        Ok(recorded)
    }

    /// The width of the terminal, or `None` if the output goes elsewhere, where lines are not wrapped.
    fn width(&self) -> Option<u16> {
        let terminal = Term::stdout();
        let shown = self.output.is_none() && terminal.is_term();
        shown.then(|| terminal.size().1)
    }
}

/// Fails if a condition or a load of a later recording is worse than the same one of the first.
fn judge(report: &report::Report) -> Result<(), CommandFailure> {
    let regressions = report.regressions().map_err(anyhow::Error::msg)?;
    match regressions.is_empty() {
        true => Ok(()),
        false => Err(CommandFailure::Regression(regressions.join("\n  "))),
    }
}
