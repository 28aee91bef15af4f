//! The progress of an experiment in a terminal: one bar with the condition, its throughput, failures and the remaining
//! time.

use std::{io::IsTerminal, time::Duration};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::experiment::{Entry, Watch, recording::RunRow};

/// In a terminal with fewer columns, the bar is shorter.
const USUAL: u16 = 80;

/// Draws on stderr if stderr is a terminal.
#[derive(Debug)]
pub(super) struct RunProgress {
    bar: ProgressBar,
    state: RunState,
}

/// What the bar says.
#[derive(Debug)]
struct RunState {
    condition: String,
    agents: usize,
    began: Instant,
    tokens: u64,
    failed: u64,
    left: Duration,
    /// Whether a rule may stop the experiment before.
    may_stop: bool,
}

impl RunProgress {
    /// `may_stop`: a rule may stop the experiment before its last run.
    pub(super) fn new(wanted: bool, may_stop: bool) -> RunProgress {
        let shown = wanted && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let template = match Term::stderr().size().1 < USUAL {
            true => "{bar:8} {pos}/{len} runs  {wide_msg}",
            false => "{bar:20} {pos}/{len} runs  {wide_msg}",
        };
        let style =
            ProgressStyle::with_template(template).expect("the template is valid").progress_chars("━╸─");
        RunProgress {
            bar: ProgressBar::with_draw_target(None, target).with_style(style),
            state: RunState {
                condition: String::new(),
                agents: 0,
                began: Instant::now(),
                tokens: 0,
                failed: 0,
                left: Duration::ZERO,
                may_stop,
            },
        }
    }

    fn show(&self) {
        self.bar.set_message(self.state.message(Instant::now()));
    }
}

impl RunState {
    /// Returns the text beside the bar, whose end a narrow terminal cuts off. A record of a stream has one token.
    fn message(&self, now: Instant) -> String {
        let left = humantime::format_duration(Duration::from_secs(self.left.as_secs()));
        let failed = if self.failed == 0 { String::new() } else { format!(", {} failed", self.failed) };
        let agents = if self.agents == 1 { "1 agent".to_owned() } else { format!("{} agents", self.agents) };
        let seconds = now.duration_since(self.began).as_secs_f64();
        let rate = if seconds > 0.0 { self.tokens as f64 / seconds } else { 0.0 };
        let most = if self.may_stop { "at most " } else { "" };
        format!("{rate:.0} tok/s{failed}  {most}{left} left  {}: {agents}", self.condition)
    }
}

impl Watch for RunProgress {
    fn begun(&mut self, runs: usize, expected: Duration) {
        self.bar.set_length(runs as u64);
        self.state.left = expected;
    }

    fn run(&mut self, condition: &str, entry: &Entry) {
        condition.clone_into(&mut self.state.condition);
        (self.state.agents, self.state.tokens, self.state.began) = (entry.team.len(), 0, Instant::now());
        self.show();
    }

    fn records(&mut self, _agent: u32, records: u32) {
        self.state.tokens += u64::from(records);
        self.show();
    }

    fn skipped(&mut self, _entry: &Entry) {
        self.bar.inc(1);
        self.show();
    }

    fn over(&mut self, row: &RunRow, left: Duration) {
        self.state.failed += u64::from(row.agents.iter().any(|row| row.agent.failure.is_some()));
        self.state.left = left;
        self.bar.inc(1);
        self.show();
    }
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_names_tokens_per_second_and_counts_failures() {
        let began = Instant::now();
        let mut state = RunState {
            condition: "pair".into(),
            agents: 2,
            began,
            tokens: 90,
            failed: 0,
            left: Duration::from_millis(61_500),
            may_stop: false,
        };
        let now = began + Duration::from_secs(3);
        assert_eq!(state.message(now), "30 tok/s  1m 1s left  pair: 2 agents");
        (state.failed, state.agents, state.may_stop) = (3, 1, true);
        assert_eq!(state.message(began), "0 tok/s, 3 failed  at most 1m 1s left  pair: 1 agent");
    }
}
