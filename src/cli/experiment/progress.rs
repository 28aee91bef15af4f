//! The progress of an experiment in a terminal: a bar with the remaining time, and a line for each agent.

use std::{io::IsTerminal, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::experiment::{Entry, Watch, recording::RunRow};

/// The most agents with a line of their own. More agents share one line.
const LINES: usize = 12;

/// Draws on stderr if stderr is a terminal.
#[derive(Debug)]
pub(super) struct RunProgress {
    all: MultiProgress,
    runs: ProgressBar,
    agents: Vec<ProgressBar>,
    failed: u64,
}

impl RunProgress {
    pub(super) fn new(wanted: bool) -> RunProgress {
        let shown = wanted && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        let runs = all.add(ProgressBar::no_length().with_style(style("{bar:30} {pos}/{len} runs  {msg}")));
        RunProgress { all, runs, agents: Vec::new(), failed: 0 }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates of this file are valid")
        .progress_chars("━╸─")
}

fn time(left: Duration) -> String {
    humantime::format_duration(Duration::from_secs(left.as_secs())).to_string()
}

impl Watch for RunProgress {
    fn begun(&mut self, runs: usize, expected: Duration) {
        self.runs.set_length(runs as u64);
        self.runs.set_message(format!("about {} expected", time(expected)));
    }

    fn run(&mut self, condition: &str, entry: &Entry) {
        for line in self.agents.drain(..) {
            self.all.remove(&line);
        }
        let lines = if entry.team.len() > LINES { 1 } else { entry.team.len() };
        for place in 0..lines {
            let name = match lines == entry.team.len() {
                true => entry.team[place].clone(),
                false => format!("{} agents", entry.team.len()),
            };
            let line =
                ProgressBar::new_spinner().with_style(style("  {prefix}  {pos} records  {per_sec}  {msg}"));
            line.set_prefix(format!("{condition}: {name}"));
            self.agents.push(self.all.add(line));
        }
    }

    fn records(&mut self, agent: u32, records: u32) {
        let place = (agent as usize).min(self.agents.len().saturating_sub(1));
        if let Some(line) = self.agents.get(place) {
            line.inc(records.into());
        }
    }

    fn ended(&mut self, agent: u32, failure: Option<&str>) {
        if let (Some(line), Some(failure)) = (self.agents.get(agent as usize), failure) {
            line.set_message(failure.to_owned());
        }
    }

    fn over(&mut self, row: &RunRow, left: Duration) {
        self.failed += u64::from(row.agents.iter().any(|row| row.agent.failure.is_some()));
        let failed = if self.failed == 0 { String::new() } else { format!(", {} failed", self.failed) };
        self.runs.inc(1);
        self.runs.set_message(format!("{} left{failed}", time(left)));
    }
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        for line in self.agents.drain(..) {
            self.all.remove(&line);
        }
        self.runs.finish_and_clear();
    }
}
