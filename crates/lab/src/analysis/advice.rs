//! Advice from the measurements: the decision tree of TR117 (8.1) without its fixed thresholds.

mod step;

use super::{Analysis, Comparison, ConditionSummary, Language, Measure, Outcome, Series};

pub(crate) use step::{Advice, Answer, RemedyEffect, Step};

/// A difference in true efficiency that is too small to matter.
const TRIFLE: f64 = 0.01;
/// The most comparisons that the recommendation of a plan without remedies names. The table has all of them.
const VERDICTS: usize = 3;
/// The most harmful remedies that the recommendation names.
const HARMS: usize = 2;

impl Analysis {
    /// Returns the verdicts on the settings of plans without remedies. Empty: nothing was compared.
    #[cfg(feature = "experiment")]
    pub(crate) fn compared(&self) -> Vec<String> {
        match self.advice.remedies.is_empty() && !self.comparisons.is_empty() {
            true => verdicts(self),
            false => Vec::new(),
        }
    }
}

impl Advice {
    pub(super) fn of(analysis: &Analysis) -> Advice {
        let mut advice = Advice::default();
        if analysis.conditions.is_empty() && !analysis.open.is_empty() {
            // Only open-loop loads ran, and their verdict is that of each sweep.
            return advice;
        }
        for condition in analysis.conditions.iter().filter(|found| found.condition.remedies.is_empty()) {
            if condition.runs > 0 && condition.agents > 1 {
                advice.step(gain_together(condition));
            }
        }
        // The question makes no sense for agents in Rust only.
        if analysis.conditions.iter().any(|found| found.condition.language == Language::Python) {
            advice.step(client_to_blame(analysis));
        }
        for series in &analysis.series {
            let answer = match series.scaling.and_then(|scaling| scaling.peak) {
                Some(peak) if peak.seen => Answer::Yes,
                Some(_) => Answer::Unknown,
                None if series.scaling.is_some() => Answer::No,
                None => Answer::Unknown,
            };
            advice.step(Step {
                question: format!("Does the throughput fall above some number of agents of {}?", series.name),
                answer,
                because: series.sentence(),
            });
        }
        advice.remedies = remedies(analysis);
        advice.told = recommendation(analysis, &advice);
        advice.recommendation = advice.told.join(" ");
        for remedy in advice.remedies.iter().filter(|remedy| remedy.helped == Answer::Unknown) {
            advice.undecided.push(remedy.gain.sentence());
        }
        advice
    }

    fn step(&mut self, step: Step) {
        if step.answer == Answer::Unknown {
            self.undecided.push(format!("{} {}", step.question, step.because));
        }
        self.steps.push(step);
    }

    /// Returns all of it as text, one line each.
    #[cfg(feature = "experiment")]
    #[must_use]
    pub(crate) fn sentences(&self) -> Vec<String> {
        let steps = self.steps.iter().map(Step::sentence);
        steps
            .chain(self.remedies.iter().map(RemedyEffect::sentence))
            // Only loads and live traffic need none.
            .chain(Some(self.recommendation.clone()).filter(|told| !told.is_empty()))
            .collect()
    }
}

fn gain_together(condition: &ConditionSummary) -> Step {
    let question =
        format!("Are {} agents of {} faster together?", condition.agents, condition.condition.name);
    let rate = condition
        .mean(Measure::Throughput)
        .map_or(String::new(), |rate| format!(", at {}", Measure::Throughput.show(rate.value)));
    let (answer, because) = match condition.truth {
        None => (Answer::Unknown, "there are no solo runs to compare with.".into()),
        Some(truth) => match truth.interval {
            None => (
                Answer::Unknown,
                format!("true speedup {:.3} of runs that were not repeated.", truth.speedup),
            ),
            Some(interval) => {
                let answer = match (interval.low > 1.0, interval.high < 1.0) {
                    (true, _) => Answer::Yes,
                    (_, true) => Answer::No,
                    _ => Answer::Unknown,
                };
                let (low, high, level) = (interval.low, interval.high, 100.0 * interval.level);
                let speedup = truth.speedup;
                (
                    answer,
                    format!("true speedup {speedup:.2} ({level:.0} % interval {low:.2} to {high:.2}){rate}."),
                )
            }
        },
    };
    Step { question, answer, because }
}

/// Compares the same work of the same agents in another language, which shows whether the client limits them.
fn client_to_blame(analysis: &Analysis) -> Step {
    let question = "Does Python limit the efficiency?".into();
    let Some((rust, python, gain)) = rust_against_python(analysis, Measure::TrueEfficiency) else {
        let because = "no Python condition without remedies is compared with a Rust one.".into();
        return Step { question, answer: Answer::Unknown, because };
    };
    let answer = match gain.interval {
        Some(interval) if gain.evidence.found(1.0 - analysis.settings.level) && interval.low > 0.0 => {
            Answer::Yes
        }
        Some(interval) if interval.high < TRIFLE => Answer::No,
        _ => Answer::Unknown,
    };
    let lag =
        python.mean(Measure::LagP99).zip(python.mean(Measure::GapP50)).map_or(String::new(), |(lag, gap)| {
            format!(
                "; its loop's lag p99 is {} where a chunk comes every {}",
                Measure::LagP99.show(lag.value),
                Measure::GapP50.show(gap.value)
            )
        });
    let rust = &rust.condition.name;
    Step { question, answer, because: format!("{} (positive: {rust} is better){lag}.", gain.sentence()) }
}

/// Returns the comparison of a Rust condition without remedies with a Python one, with Rust first.
pub(super) fn rust_against_python(
    analysis: &Analysis,
    measure: Measure,
) -> Option<(&ConditionSummary, &ConditionSummary, Comparison)> {
    analysis.all_comparisons().filter(|comparison| comparison.measure == measure).find_map(|comparison| {
        let first = analysis.condition(&comparison.condition)?;
        let second = analysis.condition(&comparison.baseline)?;
        let untreated = [first, second]
            .iter()
            .all(|found| found.condition.remedies.is_empty() && !found.condition.without_plan);
        match (first.condition.language, second.condition.language) {
            (Language::Rust, Language::Python) if untreated => Some((first, second, comparison.clone())),
            (Language::Python, Language::Rust) if untreated => Some((second, first, comparison.turned())),
            _ => None,
        }
    })
}

fn remedies(analysis: &Analysis) -> Vec<RemedyEffect> {
    let alpha = 1.0 - analysis.settings.level;
    let mut effects: Vec<RemedyEffect> = analysis
        .conditions
        .iter()
        .filter(|condition| !condition.condition.remedies.is_empty())
        .filter_map(|condition| {
            let name = condition.condition.name.as_str();
            let gain = analysis.comparison(name, Measure::TrueEfficiency)?.clone();
            let veto =
                analysis.condition(&gain.baseline).and_then(|baseline| condition.fails_more_than(baseline));
            let helped = match gain.interval {
                _ if veto.is_some() => Answer::Unknown,
                _ if gain.verdict == Outcome::Equivalent => Answer::No,
                Some(interval) if gain.evidence.found(alpha) && interval.low > 0.0 => Answer::Yes,
                // The difference is neither harmful nor large enough to matter.
                Some(interval) if interval.high < TRIFLE => Answer::No,
                _ => Answer::Unknown,
            };
            let beside = [Measure::Throughput, Measure::FirstToken, Measure::LagP99, Measure::CpuPerToken];
            let costs = beside
                .into_iter()
                .filter_map(|measure| analysis.comparison(name, measure))
                .filter(|comparison| comparison.evidence.found(alpha))
                .cloned()
                .collect();
            let remedies = condition.condition.remedies.clone();
            Some(RemedyEffect { condition: name.into(), remedies, helped, veto, gain, costs })
        })
        .collect();
    effects.sort_by(|a, b| b.gain.difference.total_cmp(&a.gain.difference));
    effects
}

/// Returns the verdicts of a plan without remedies. The true efficiency decides a comparison, or the throughput if the
/// agents did not run alone.
pub(super) fn verdicts(analysis: &Analysis) -> Vec<String> {
    let decides = |found: &&Comparison| {
        let truth = analysis.comparison(&found.condition, Measure::TrueEfficiency).is_some();
        found.measure == if truth { Measure::TrueEfficiency } else { Measure::Throughput }
    };
    // With more agents, each gets a smaller share of the Ollama. Only the throughput of a series says something.
    let is_within_series = |found: &&Comparison| {
        let series = |name: &str| analysis.condition(name).and_then(|found| found.condition.series.as_ref());
        series(&found.condition).is_some_and(|one| series(&found.baseline) == Some(one))
    };
    let compared = analysis.comparisons.iter().filter(|found| !is_within_series(found));
    let found: Vec<&Comparison> = compared.filter(decides).collect();
    let best: Vec<String> = analysis.series.iter().filter_map(Series::best).collect();
    if found.is_empty() {
        return if best.is_empty() { vec![nothing_compared(analysis)] } else { ended(best) };
    }
    let mut found: Vec<_> = found.into_iter().map(|found| (veto(analysis, found), found)).collect();
    found.sort_by_key(|(veto, found)| (veto.is_none(), found.verdict == Outcome::Undecided));
    let (undecided, decided): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(veto, found)| veto.is_none() && found.verdict == Outcome::Undecided);
    let sentence = |(veto, found): &(Option<String>, &Comparison)| match veto {
        Some(veto) => {
            let verdict = found.brief_verdict();
            format!("{veto}, so it cannot be recommended; of the runs that succeeded, {verdict}")
        }
        None => found.brief_verdict(),
    };
    let mut sentences: Vec<String> = best;
    sentences.extend(decided.iter().take(VERDICTS).map(sentence));
    match decided.len().saturating_sub(VERDICTS) {
        0 => {}
        1 => sentences.push("1 more comparison is decided".into()),
        more => sentences.push(format!("{more} more comparisons are decided")),
    }
    match undecided.as_slice() {
        [] => {}
        [(_, only)] => sentences.push(only.brief_verdict()),
        [(_, first), others @ ..] => {
            let named = std::iter::once(*first).chain(others.iter().map(|(_, found)| *found));
            let named: Vec<&str> = named.map(|found| found.condition.as_str()).collect();
            let measure = first.measure.name();
            sentences.push(format!("{} are undecided in {measure}", listed(&named, VERDICTS)));
        }
    }
    ended(sentences)
}

/// Returns sentences with a full stop at the end of each.
fn ended(sentences: Vec<String>) -> Vec<String> {
    sentences.into_iter().map(|sentence| sentence + ".").collect()
}

/// Returns names as text: at most `most` of them, and the number of the others.
fn listed(names: &[&str], most: usize) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] if names.len() <= most => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..most].join(", "), names.len() - most),
    }
}

/// Returns which of the two compared conditions fails more often than the other, and how often.
fn veto(analysis: &Analysis, found: &Comparison) -> Option<String> {
    let first = analysis.condition(&found.condition)?;
    let second = analysis.condition(&found.baseline)?;
    let of = |one: &ConditionSummary, other: &ConditionSummary| {
        Some(format!("{}: {}", one.condition.name, one.fails_more_than(other)?))
    };
    of(first, second).or_else(|| of(second, first))
}

/// Returns what there is to say without a comparison.
fn nothing_compared(analysis: &Analysis) -> String {
    let ran: Vec<&ConditionSummary> =
        analysis.conditions.iter().filter(|found| found.runs + found.failed > 0).collect();
    let successful = ran.iter().filter(|found| found.runs > 0).count();
    match ran.as_slice() {
        [] => "No run is known, so there is nothing to compare.".into(),
        _ if successful == 0 => {
            let failed: usize = ran.iter().map(|found| found.failed).sum();
            let runs = match failed {
                1 => "The only concurrent run".to_owned(),
                _ => format!("Each of the {failed} concurrent runs"),
            };
            let first = analysis.runs.iter().flat_map(|run| &run.failures).next();
            let reason = first.map_or(String::new(), |first| format!(" The first failure: {first}."));
            format!("{runs} failed, so there is nothing to compare.{reason}")
        }
        [only] => {
            let rate = only.mean(Measure::Throughput).map_or(String::new(), |rate| {
                format!(" made {} together,", Measure::Throughput.show(rate.value))
            });
            let agents = if only.agents == 1 { "1 agent".into() } else { format!("{} agents", only.agents) };
            format!(
                "Only one condition ran: {agents} of {}{rate} and nothing is compared.",
                only.condition.name
            )
        }
        _ => "No condition is compared with another, so nothing can be recommended.".into(),
    }
}

fn recommendation(analysis: &Analysis, advice: &Advice) -> Vec<String> {
    if analysis.simulated {
        return vec![
            "A simulated Ollama answered: the figures describe the simulator and the agents, so nothing is \
                recommended."
                .into(),
        ];
    }
    if advice.remedies.is_empty() {
        return verdicts(analysis);
    }
    let vetoed = advice.remedies.iter().find_map(|remedy| Some((remedy, remedy.veto.as_ref()?)));
    let best = advice.remedies.iter().find(|remedy| remedy.helped == Answer::Yes);
    let harm = harm(&advice.remedies);
    if let ([only], Some(harm)) = (advice.remedies.as_slice(), &harm)
        && only.helped != Answer::Yes
        && only.veto.is_none()
    {
        return vec![format!("Leave it as it is: {harm}.")];
    }
    let told = match (best, vetoed) {
        (Some(best), _) => {
            let name = best.gain.measure.name();
            format!("Use {}, which helped most: {name} {}.", best.condition, best.gain.brief())
        }
        (None, Some((worst, veto))) => {
            format!("Leave it as it is: {} cannot be recommended, because {veto}.", worst.condition)
        }
        (None, None) => nothing_helped(&advice.remedies),
    };
    std::iter::once(told).chain(harm.map(|harm| harm + ".")).collect()
}

/// Returns that no remedy helped, and how many need more runs.
fn nothing_helped(remedies: &[RemedyEffect]) -> String {
    let unknown = remedies.iter().filter(|remedy| remedy.helped == Answer::Unknown).count();
    let needs = if unknown == 1 { "1 needs more runs".into() } else { format!("{unknown} need more runs") };
    match remedies {
        [only] if unknown == 0 => format!("Leave it as it is: {} did not help.", only.condition),
        [only] => {
            format!("Leave it as it is: {} was not shown to help, and needs more runs.", only.condition)
        }
        several if unknown == 0 => {
            format!("Leave it as it is: none of {} remedies helped.", several.len())
        }
        several => {
            format!("Leave it as it is: none of {} remedies was shown to help; {needs}.", several.len())
        }
    }
}

/// Returns which remedies do harm, and how much.
fn harm(remedies: &[RemedyEffect]) -> Option<String> {
    let mut harmful: Vec<(&RemedyEffect, &Comparison)> =
        remedies.iter().filter_map(|remedy| Some((remedy, remedy.harm()?))).collect();
    // The largest loss of efficiency first.
    harmful.sort_by(|(_, a), (_, b)| {
        let rank = |found: &Comparison| (found.measure, found.difference);
        rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1))
    });
    let named = harmful.iter().take(HARMS).map(|(remedy, found)| {
        format!("{} harms the {}: {}", remedy.condition, found.measure.name(), found.brief())
    });
    let named: Vec<String> = named.collect();
    match harmful.len().saturating_sub(HARMS) {
        _ if named.is_empty() => None,
        0 => Some(named.join("; ")),
        1 => Some(format!("{}; 1 more does harm", named.join("; "))),
        more => Some(format!("{}; {more} more do harm", named.join("; "))),
    }
}
