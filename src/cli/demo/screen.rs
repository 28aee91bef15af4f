//! The live summary: redrawn in a terminal, else a plain line each time.

use std::{collections::VecDeque, io};

use console::{Term, style, truncate_str};

use super::interval::Interval;
use crate::{cli::output, config};

/// So many rates are drawn.
const HISTORY: usize = 30;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Where the summary is shown.
#[derive(Debug)]
pub(super) struct Screen {
    /// `None`: no terminal that redraws.
    terminal: Option<Term>,
    /// Lines that the next picture takes the place of.
    drawn: usize,
    rates: VecDeque<f64>,
}

impl Screen {
    /// `scrolls`: other lines come between, so nothing is redrawn.
    pub(super) fn new(scrolls: bool) -> Screen {
        let terminal = Term::buffered_stdout();
        let redraws = terminal.is_term() && terminal.features().colors_supported();
        let wanted = redraws && !scrolls && !config::no_color();
        Screen { terminal: wanted.then_some(terminal), drawn: 0, rates: VecDeque::new() }
    }

    /// Shows the newest interval, and outcomes and time so far.
    pub(super) fn show(&mut self, newest: &Interval, so_far: &Interval) -> io::Result<()> {
        let Some(terminal) = &self.terminal else { return output::write(line(newest, so_far)) };
        if self.rates.len() == HISTORY {
            self.rates.pop_front();
        }
        self.rates.push_back(newest.token_rate());
        let width = usize::from(terminal.size().1);
        let picture = picture(newest, so_far, &self.rates);
        terminal.clear_last_lines(self.drawn)?;
        for line in &picture {
            // A line that wraps would be two to clear.
            terminal.write_line(&truncate_str(line, width, "…"))?;
        }
        self.drawn = picture.len();
        terminal.flush()
    }

    /// Takes the picture away, for what comes after.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        terminal.clear_last_lines(std::mem::take(&mut self.drawn))?;
        terminal.flush()
    }
}

fn line(newest: &Interval, so_far: &Interval) -> String {
    format!(
        "{:>4.0} s  streams {:>3}  tokens/s {:>5.0}  gap {}  first token {}  overlap {:>4}  {}\n",
        so_far.seconds,
        newest.streams,
        newest.token_rate(),
        Interval::quantiles(&newest.gap),
        Interval::quantiles(&newest.first_token),
        overlap(newest),
        so_far.counted().join("  "),
    )
}

fn picture(newest: &Interval, so_far: &Interval, rates: &VecDeque<f64>) -> Vec<String> {
    let row = |name: &str, value: String| format!("  {} {value}", style(format!("{name:<12}")).dim());
    let mut rows = vec![
        String::new(),
        row("time", format!("{:.0} s", so_far.seconds)),
        row(
            "streams",
            format!("{:<6}{}", newest.streams, style("●".repeat(newest.streams as usize)).green()),
        ),
        row("overlap", overlap(newest)),
        row("tokens/s", format!("{:<6.0}{}", newest.token_rate(), style(bars(rates)).cyan())),
        row("gap", Interval::quantiles(&newest.gap)),
        row("first token", Interval::quantiles(&newest.first_token)),
    ];
    // All of them on one line need more than eighty columns.
    let names = std::iter::once("outcomes").chain(std::iter::repeat(""));
    rows.extend(names.zip(so_far.counted().chunks(3)).map(|(name, some)| row(name, some.join("  "))));
    rows
}

fn overlap(interval: &Interval) -> String {
    interval.overlap().map_or("-".to_owned(), |overlap| format!("{overlap:.1}"))
}

/// A bar for each, as high as its part of the highest.
fn bars(rates: &VecDeque<f64>) -> String {
    let highest = rates.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let top = (BARS.len() - 1) as f64;
    rates.iter().map(|rate| BARS[(rate / highest * top).round() as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_has_the_highest_bar() {
        assert_eq!(bars(&VecDeque::from([0.0, 50.0, 100.0])), "▁▅█");
        assert_eq!(bars(&VecDeque::from([0.0, 0.0])), "▁▁");
    }

    #[test]
    fn a_plain_line_is_one_line_without_escapes() {
        let interval = Interval { seconds: 3.0, streams: 2.0, content_records: 300.0, ..Interval::default() };
        let line = line(&interval, &interval);
        assert!(line.starts_with("   3 s  streams   2  tokens/s   100  gap p50"), "{line}");
        assert!(line.ends_with('\n') && line.lines().count() == 1 && !line.contains('\x1b'), "{line}");
    }
}
