//! The verdict: what a reader has to know, in at most eight sentences, or eight lines of a terminal.

mod burst;
mod drift;
mod live;

use std::collections::BTreeMap;

use super::{Report, Source, text};
use crate::{
    analysis::{Answer, Comparison, Measure, Outcome, RunKind},
    experiment::recording::Problem,
};

/// The most comparisons that one sentence names.
const NAMED: usize = 3;
/// The most open-loop loads of a verdict. The table has all of them.
const SWEEPS: usize = 3;
/// The lines of all loads together on a terminal.
const LOAD_LINES: usize = 3;

/// The sentences about what was decided that come before all others.
const FIRST: usize = 2;
/// The lines of a verdict on a terminal, and the columns of a usual terminal.
const LINES: usize = 8;
const COLUMNS: u16 = 80;

/// A sentence of the verdict.
struct Sentence {
    /// The sentences with the lowest rank are kept if there is no room for all.
    rank: u8,
    text: String,
    /// The texts for a verdict of a few lines, the longest first. Empty: `text` is the only one.
    short: Vec<String>,
    /// The most lines of such a text, if one of them is as short.
    most: usize,
}

impl Sentence {
    fn new(rank: u8, text: String) -> Sentence {
        Sentence { rank, text, short: Vec::new(), most: LINES }
    }

    /// Returns the longest text that has at most `room` lines.
    fn fitting(&self, room: usize) -> Option<&str> {
        let texts = if self.short.is_empty() { std::slice::from_ref(&self.text) } else { &self.short };
        let fits = |most: usize| texts.iter().find(|text| lines(text) <= most);
        fits(room.min(self.most)).or_else(|| fits(room)).map(String::as_str)
    }
}

/// Returns the number of lines of a sentence.
fn lines(text: &str) -> usize {
    text::wrapped(text::MARK, text, Some(COLUMNS)).lines().count()
}

impl Report {
    /// Returns the verdict, the most important sentence first.
    pub(super) fn verdict(&self) -> Vec<String> {
        self.told().into_iter().map(|told| told.text).collect()
    }

    /// Returns the sentences of the verdict that fit into eight lines of a terminal with 80 columns.
    pub(super) fn short_verdict(&self) -> Vec<String> {
        let told = self.told();
        let mut places: Vec<usize> = (0..told.len()).collect();
        places.sort_by_key(|place| told[*place].rank);
        let mut kept: BTreeMap<usize, &str> = BTreeMap::new();
        let mut room = LINES;
        for place in places {
            let sentence = &told[place];
            let only = kept.is_empty().then_some(sentence.short.last().unwrap_or(&sentence.text).as_str());
            if let Some(text) = sentence.fitting(room).or(only) {
                room = room.saturating_sub(lines(text));
                kept.insert(place, text);
            }
        }
        kept.into_values().map(str::to_owned).collect()
    }

    /// Returns every sentence of the verdict, in the order in which they are read.
    fn told(&self) -> Vec<Sentence> {
        let mut told: Vec<Sentence> =
            self.warning().map(|warning| Sentence::new(0, warning)).into_iter().collect();
        told.extend(self.apart());
        let decided = self.decided().into_iter().enumerate();
        told.extend(decided.map(|(place, text)| Sentence::new(if place < FIRST { 1 } else { 3 }, text)));
        told.extend(drift::sentences(self).into_iter().map(|(rank, text)| Sentence::new(rank, text)));
        let of_loads = if self.analysis.conditions.is_empty() { 1 } else { 3 };
        let sweeps = self.analysis.open.len().clamp(1, SWEEPS);
        told.extend(self.analysis.open.iter().take(SWEEPS).map(|sweep| {
            match sweep.rates.first() {
                Some(rate) if self.is_live(sweep) => {
                    Sentence::new(of_loads, live::load(rate, "failed or lost their client"))
                }
                // Nobody stated objectives, as of a replay.
                Some(rate) if sweep.rates.len() == 1 && rate.load.slo.is_empty() && rate.holds.is_some() => {
                    Sentence::new(of_loads, live::load(rate, "failed"))
                }
                _ => Sentence {
                    short: sweep.brief(),
                    most: LOAD_LINES / sweeps,
                    ..Sentence::new(of_loads, sweep.sentence())
                },
            }
        }));
        // Beside another load, such as a replay, the rates of the streams say less than how both loads went.
        let of_rates = if self.analysis.between.apart.is_empty() { of_loads } else { 3 };
        told.extend(live::sentences(self).into_iter().map(|text| Sentence::new(of_rates, text)));
        told.extend(burst::sentence(self).map(|text| Sentence::new(3, text)));
        let precise = self.precision();
        let room = 8_usize.saturating_sub(told.len() + 3 + usize::from(precise.is_some()));
        let steps = &self.analysis.advice.steps;
        let known = steps.iter().filter(|step| step.answer != Answer::Unknown);
        told.extend(known.take(room.min(2)).map(|step| Sentence::new(6, step.sentence())));
        told.extend(
            (!self.analysis.conditions.is_empty() || self.analysis.open.is_empty())
                .then(|| Sentence::new(if self.left_out() > 0 { 2 } else { 5 }, self.counted())),
        );
        told.extend(precise.map(|text| Sentence::new(2, text)));
        told.extend(self.sure().map(|text| Sentence::new(2, text)));
        told.extend(self.open());
        told
    }

    fn is_compared(&self) -> bool {
        let between = &self.analysis.between;
        !(between.comparisons.is_empty() && between.failures.is_empty())
    }

    /// Returns why several recordings were not compared.
    fn apart(&self) -> Option<Sentence> {
        if self.sources.len() < 2 || self.is_compared() {
            return None;
        }
        let text = self.not_compared() + ".";
        Some(match text.split_once(": ") {
            // The text begins with the names of the recordings. Their own figures say more.
            Some((what, _)) if !self.analysis.between.apart.is_empty() => {
                Sentence { short: vec![text.clone(), format!("{what}.")], ..Sentence::new(2, text) }
            }
            _ => Sentence::new(1, capitalised(&text)),
        })
    }

    /// Returns what was decided: between the recordings if there are several, and otherwise between the conditions.
    fn decided(&self) -> Vec<String> {
        if self.sources.len() > 1 && self.is_compared() {
            return self.between();
        }
        let mut lines = Vec::new();
        if self.analysis.simulated {
            let mut compared = self.analysis.compared();
            if let Some(first) = compared.first_mut() {
                first.insert_str(0, "With the simulated Ollama: ");
            }
            lines.append(&mut compared);
        } else if !self.analysis.conditions.is_empty() {
            lines.extend(self.analysis.advice.told.iter().cloned());
        }
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

    /// Returns the number of runs that are invalid.
    fn left_out(&self) -> usize {
        let recorded = self.recording.runs.iter().filter(|run| !run.warm_up && run.kind != RunKind::Open);
        recorded.count().saturating_sub(self.analysis.runs.len())
    }

    /// Returns how many runs there were, and how many of them failed or were left out.
    fn counted(&self) -> String {
        if self.recording.live && self.recording.agents.is_empty() {
            return "live traffic: no request was recorded.".into();
        }
        let together = || self.analysis.runs.iter().filter(|run| run.kind == RunKind::Together);
        let runs = together().count();
        let failed = together().filter(|run| !run.failures.is_empty()).count();
        let agents =
            self.analysis.conditions.iter().map(|condition| condition.agents).max().unwrap_or_default();
        let failed = if failed == 0 { "none failed".to_owned() } else { format!("{failed} failed") };
        let left_out = match self.left_out() {
            0 => String::new(),
            1 => ", and 1 run was left out".to_owned(),
            several => format!(", and {several} runs were left out"),
        };
        format!(
            "{} with up to {} and {} together: {failed}{left_out}.",
            counted(self.analysis.conditions.len(), "condition"),
            counted(agents, "agent"),
            counted(runs, "run")
        )
    }

    /// Returns how the experiment ended, if a rule was to stop it when its intervals are narrow enough.
    fn precision(&self) -> Option<String> {
        let [source] = self.sources.as_slice() else { return None };
        Some(capitalised(&source.environment.as_ref()?.precision()?) + ".")
    }

    /// Returns how large a difference may be that was not found. `None`: every comparison found one.
    fn sure(&self) -> Option<String> {
        let (comparisons, most) = match self.sources.len() {
            1 => (&self.analysis.comparisons, 1),
            _ => (&self.analysis.between.comparisons, 2),
        };
        let open = |found: &&Comparison| matches!(found.verdict, Outcome::Undecided | Outcome::Equivalent);
        let of =
            |measure: Measure| comparisons.iter().filter(open).filter(move |found| found.measure == measure);
        let hidden = |measure: Measure| {
            let least = of(measure).filter_map(|found| found.detectable).max_by(f64::total_cmp)?;
            Some(format!("{} in {}", measure.show_difference(least), measure.name()))
        };
        let decide = [
            Measure::TrueEfficiency,
            Measure::Throughput,
            Measure::Goodput,
            Measure::StreamRate,
            Measure::RecordRate,
        ];
        let shown: Vec<String> = decide.into_iter().filter_map(hidden).take(most).collect();
        if !shown.is_empty() {
            let power = 100.0 * self.analysis.settings.power;
            return Some(format!(
                "Differences below {} could hide (power {power:.0} %).",
                shown.join(" and ")
            ));
        }
        let unknown = decide.into_iter().any(|measure| of(measure).next().is_some());
        unknown.then(|| {
            "How large a difference could hide is not known: the runs do not vary, or are too few.".into()
        })
    }

    /// Returns what is left out or undecided, and where to read about it.
    fn open(&self) -> Option<Sentence> {
        let problems: usize = self.sources.iter().map(|source| source.problems.len()).sum();
        let several = self.sources.len() > 1;
        let named = |source: &Source, problem: &Problem| match several {
            true => format!("{}/{problem}", source.name),
            false => problem.to_string(),
        };
        let first = self.sources.iter().find_map(|source| Some(named(source, source.problems.first()?)));
        let counted = match problems {
            0 => None,
            1 => Some("1 part was left out or corrected".to_owned()),
            several => Some(format!("{several} parts were left out or corrected")),
        };
        let left_out = counted.as_ref().zip(first).map(|(counted, first)| match problems {
            1 => format!("{counted}: {first}"),
            _ => format!("{counted}; the first: {first}"),
        });
        let undecided = match self.analysis.advice.undecided.len() {
            0 => None,
            1 => Some("1 question is undecided".to_owned()),
            several => Some(format!("{several} questions are undecided")),
        };
        let sentence = |left_out: Option<String>| {
            let parts: Vec<String> = undecided.iter().cloned().chain(left_out).collect();
            (!parts.is_empty()).then(|| format!("{}.", parts.join(". ")))
        };
        let text = sentence(left_out)?;
        let short = std::iter::once(text.clone()).chain(sentence(counted)).collect();
        Some(Sentence { short, ..Sentence::new(4, text) })
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
    let (difference, range) = found.size();
    let interval = range.map_or(String::new(), |(low, high)| format!(" (95 % interval {low} to {high})"));
    format!("{} {difference}{interval}", named(found))
}
