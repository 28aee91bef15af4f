//! The verdict: what a reader has to know, in at most eight sentences.

mod live;

use super::{Report, Source};
use crate::{
    analysis::{Answer, Comparison, Measure, Outcome, RunKind, Step, Sweep},
    experiment::recording::Problem,
};

/// The most comparisons that one sentence names.
const NAMED: usize = 3;
/// The most open-loop loads of a verdict. The table has all of them.
const SWEEPS: usize = 3;

impl Report {
    /// Returns the verdict, the most important sentence first.
    pub(super) fn verdict(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.warning().map(str::to_owned).into_iter().collect();
        let between = &self.analysis.between;
        let compared = !(between.comparisons.is_empty() && between.failures.is_empty());
        if self.sources.len() > 1 && compared {
            lines.extend(self.between());
        } else {
            if self.sources.len() > 1 {
                lines.push(capitalised(self.not_compared()) + ".");
            }
            if !self.analysis.simulated && !self.analysis.conditions.is_empty() {
                lines.push(self.analysis.advice.recommendation.clone());
            }
        }
        let is_live =
            |sweep: &Sweep| self.analysis.live.groups.iter().any(|group| group.condition == sweep.name);
        lines.extend(self.analysis.open.iter().take(SWEEPS).map(|sweep| match sweep.rates.first() {
            Some(rate) if is_live(sweep) => live::load(rate),
            _ => sweep.sentence(),
        }));
        lines.extend(live::sentences(self));
        let room = 8_usize.saturating_sub(lines.len() + 3);
        let steps = &self.analysis.advice.steps;
        let known = steps.iter().filter(|step| step.answer != Answer::Unknown);
        lines.extend(known.take(room.min(2)).map(Step::sentence));
        lines.extend(
            (!self.analysis.conditions.is_empty() || self.analysis.open.is_empty()).then(|| self.counted()),
        );
        lines.extend(self.sure());
        lines.extend(self.open());
        lines
    }

    /// Returns a sentence for each outcome of the comparisons between recordings.
    fn between(&self) -> Vec<String> {
        let between = &self.analysis.between;
        let mut lines: Vec<String> = match between.failures.as_slice() {
            [] => Vec::new(),
            [only] => vec![format!("{only}.")],
            [first, _] => vec![format!("{first}. Another one fails more often, too.")],
            [first, others @ ..] => vec![format!("{first}. {} others fail more often, too.", others.len())],
        };
        let (first, margin) = (&self.sources[0].name, 100.0 * self.analysis.settings.margin);
        for (outcome, title) in [
            (Outcome::Worse, format!("Worse than in {first}")),
            (Outcome::Better, format!("Better than in {first}")),
            (Outcome::Equivalent, format!("Equivalent to {first} within {margin} %")),
            (Outcome::Undecided, format!("Undecided against {first}")),
        ] {
            let found: Vec<&Comparison> =
                between.deciding().filter(|found| found.verdict == outcome).collect();
            if found.is_empty() {
                continue;
            }
            let exact = matches!(outcome, Outcome::Worse | Outcome::Better);
            let shown =
                found.iter().take(NAMED).map(|found| if exact { with_interval(found) } else { named(found) });
            let shown = shown.collect::<Vec<_>>().join("; ");
            let more = match found.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            lines.push(format!("{title}: {shown}{more}."));
        }
        lines
    }

    /// Returns how many runs there were, and how many of them failed.
    fn counted(&self) -> String {
        let together = || self.analysis.runs.iter().filter(|run| run.kind == RunKind::Together);
        let runs = together().count();
        let failed = together().filter(|run| !run.failures.is_empty()).count();
        let agents =
            self.analysis.conditions.iter().map(|condition| condition.agents).max().unwrap_or_default();
        let failed = if failed == 0 { "none failed".to_owned() } else { format!("{failed} failed") };
        format!(
            "{} with up to {} and {} together: {failed}.",
            counted(self.analysis.conditions.len(), "condition"),
            counted(agents, "agent"),
            counted(runs, "run")
        )
    }

    /// Returns how small a difference these runs would have shown.
    fn sure(&self) -> Option<String> {
        let comparisons = match self.sources.len() {
            1 => &self.analysis.comparisons,
            _ => &self.analysis.between.comparisons,
        };
        let of = |measure: Measure| {
            let found = comparisons.iter().filter(move |found| found.measure == measure);
            let least = found.filter_map(|found| found.detectable).max_by(f64::total_cmp)?;
            Some(format!("{} in {}", measure.show_difference(least), measure.name()))
        };
        let shown: Vec<String> = [Measure::TrueEfficiency, Measure::Throughput, Measure::Goodput]
            .into_iter()
            .filter_map(of)
            .collect();
        (!shown.is_empty()).then(|| {
            format!(
                "Each comparison would have shown a difference of {} with a probability of {:.0} %; a smaller one may \
                 exist unseen.",
                shown.join(" and "),
                100.0 * self.analysis.settings.power
            )
        })
    }

    /// Returns what is left out or undecided, and where to read about it.
    fn open(&self) -> Option<String> {
        let problems: usize = self.sources.iter().map(|source| source.problems.len()).sum();
        let several = self.sources.len() > 1;
        let named = |source: &Source, problem: &Problem| match several {
            true => format!("{}/{problem}", source.name),
            false => problem.to_string(),
        };
        let first = self.sources.iter().find_map(|source| Some(named(source, source.problems.first()?)));
        let left_out = first.map(|first| match problems {
            1 => format!("1 part was left out or corrected: {first}"),
            _ => format!("{problems} parts were left out or corrected; the first: {first}"),
        });
        let undecided = match self.analysis.advice.undecided.len() {
            0 => None,
            1 => Some("1 question is undecided".to_owned()),
            several => Some(format!("{several} questions are undecided")),
        };
        let parts: Vec<String> = undecided.into_iter().chain(left_out).collect();
        (!parts.is_empty()).then(|| format!("{}.", parts.join(". ")))
    }
}

/// Returns a number with its noun.
fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn named(found: &Comparison) -> String {
    format!("{} of {}", found.measure.name(), found.condition)
}

fn with_interval(found: &Comparison) -> String {
    let sign = if found.difference >= 0.0 { "+" } else { "" };
    let show = |value| found.measure.show_difference(value);
    let interval = found.interval.map_or(String::new(), |interval| {
        format!(" (95 % interval {} to {})", show(interval.low), show(interval.high))
    });
    format!("{} {sign}{}{interval}", named(found), show(found.difference))
}
