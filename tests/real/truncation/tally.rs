//! How many prompts of each kind and length were suspected.

use std::{collections::BTreeMap, fmt};

use super::text::KINDS;

/// How a prompt compares with the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Length {
    Fits,
    /// Ollama cut the text of a single message.
    Cut(Range),
    /// Ollama left out messages.
    Shortened(Range),
}

/// The expected tokens of a prompt divided by the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Range {
    Slightly,
    OnceAndAHalf,
    Twice,
    More,
}

impl Range {
    fn name(self) -> &'static str {
        match self {
            Range::Slightly => "below 1.25 times the context",
            Range::OnceAndAHalf => "1.25 to 1.5 times",
            Range::Twice => "1.5 to 2 times",
            Range::More => "2 to 4 times",
        }
    }
}

impl Length {
    pub(super) fn new(is_cut: bool, has_messages: bool, ratio: f64) -> Length {
        let range = match ratio {
            ..1.25 => Range::Slightly,
            ..1.5 => Range::OnceAndAHalf,
            ..2.0 => Range::Twice,
            _ => Range::More,
        };
        match (is_cut, has_messages) {
            (false, _) => Length::Fits,
            (true, false) => Length::Cut(range),
            (true, true) => Length::Shortened(range),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Fits => f.write_str("fit"),
            Length::Cut(range) => write!(f, "cut, one message, {}", range.name()),
            Length::Shortened(range) => write!(f, "cut, seven messages, {}", range.name()),
        }
    }
}

/// Prompts, and those of them that were suspected.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    all: u64,
    suspected: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Length, [Cell; KINDS.len()]>);

impl Tally {
    pub(super) fn count(&mut self, length: Length, kind: usize, is_suspected: bool) {
        let cell = &mut self.0.entry(length).or_default()[kind];
        cell.all += 1;
        cell.suspected += u64::from(is_suspected);
    }

    pub(super) fn add(&mut self, other: &Tally) {
        for (length, cells) in &other.0 {
            for (cell, other) in self.0.entry(*length).or_default().iter_mut().zip(cells) {
                cell.all += other.all;
                cell.suspected += other.suspected;
            }
        }
    }

    pub(super) fn suspected(&self) -> u64 {
        self.sum(|_| true).suspected
    }

    fn sum(&self, of: impl Fn(Length) -> bool) -> Cell {
        let cells = self.0.iter().filter(|(length, _)| of(**length)).flat_map(|(_, cells)| cells);
        cells.fold(Cell::default(), |sum, cell| Cell {
            all: sum.all + cell.all,
            suspected: sum.suspected + cell.suspected,
        })
    }

    /// Fails if more than one of a thousand prompts that fit is suspected, or too few of the long ones. Of a few prompts,
    /// one may be suspected by chance.
    pub(super) fn verify(&self) {
        let fit = self.sum(|length| length == Length::Fits);
        assert!(fit.suspected <= 1.max(fit.all / 1000), "{fit:?}\n{self}");
        let longer = [Range::Twice, Range::More].map(Length::Cut);
        let cut = self.sum(|length| longer.contains(&length));
        assert!(cut.all > 0 && cut.suspected as f64 >= 0.95 * cut.all as f64, "{cut:?}\n{self}");
        let shortened = self.sum(|length| length == Length::Shortened(Range::More));
        assert!(2 * shortened.suspected >= shortened.all, "{shortened:?}\n{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| prompts | {} | all |\n|---|---|---|---|---|", KINDS.join(" | "))?;
        for (length, cells) in &self.0 {
            let sum = self.sum(|other| other == *length);
            let cells = cells.iter().chain([&sum]).map(|cell| format!("{} of {}", cell.suspected, cell.all));
            writeln!(f, "| {length} | {} |", cells.collect::<Vec<_>>().join(" | "))?;
        }
        let fit = self.sum(|length| length == Length::Fits);
        let cut = self.sum(|length| length != Length::Fits);
        let share = |part: u64, all: u64| 100.0 * part as f64 / all as f64;
        writeln!(
            f,
            "precision {:.1} %, recall {:.1} %, false alarms {:.3} % (with 95 % confidence at most {:.3} %)",
            share(cut.suspected, cut.suspected + fit.suspected),
            share(cut.suspected, cut.all),
            share(fit.suspected, fit.all),
            100.0 * bound(fit),
        )
    }
}

/// The highest share for which so few were as probable as 5 % (the exact bound of Clopper and Pearson, one-sided).
fn bound(Cell { all, suspected }: Cell) -> f64 {
    let at_most = |share: f64| {
        let odds = share / (1.0 - share);
        let mut term = (1.0 - share).powf(all as f64);
        let mut sum = term;
        for number in 1..=suspected {
            term *= odds * (all + 1 - number) as f64 / number as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_of_a_share_is_that_of_clopper_and_pearson() {
        for (all, suspected, expected) in [(3_000, 0, 0.000_998), (1_000, 1, 0.004_735), (20, 20, 1.0)] {
            let bound = bound(Cell { all, suspected });
            assert!((bound - expected).abs() < 1e-6, "{suspected} of {all}: {bound}");
        }
    }
}
