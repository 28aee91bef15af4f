//! Claims about the event loop's lag.

use super::{Claim, Number, Said, Verdict, judge, shown};
use crate::analysis::{Analysis, Evidence, Language, Measure, Relation, statistic::Correlation};

/// The share of windows that counts as "consistently".
const CONSISTENTLY: f64 = 0.95;
/// The number of windows below which their share has no meaning.
const FEWEST_WINDOWS: usize = 20;

const NO_PYTHON: &str = "No Python agents ran together.";

/// Whether the relations are those of Python agents, about which TR117 claims something.
fn python_ran(analysis: &Analysis) -> bool {
    analysis.conditions.iter().any(|found| found.condition.language == Language::Python && found.runs > 0)
}

pub(super) fn explains(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "lag_explains_efficiency",
        section: "3.5, Q1",
        says: "Loop lag p99 explains 88 % of the variance of efficiency, r = −0.94",
    };
    correlation(analysis, said, Measure::OverlapEfficiency, -0.94, Across::Runs)
}

pub(super) fn follows_chunks(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "lag_follows_chunks",
        section: "6.1",
        says: "Lag p99 rises with the chunk rate, r = 0.92",
    };
    correlation(analysis, said, Measure::ChunksPerSecond, 0.92, Across::Conditions)
}

/// The points of the correlation that a claim is about: the runs of a condition, or the means of the conditions.
#[derive(Clone, Copy, PartialEq)]
enum Across {
    Runs,
    Conditions,
}

/// Judges a claim about r. The claim is supported if r is beyond chance and its interval contains the claimed value. It
/// is refuted if the interval does not contain that value. A claim about conditions is judged by r between them, if there
/// are enough, and otherwise by r within them.
fn correlation(analysis: &Analysis, said: Said, right: Measure, claimed: f64, across: Across) -> Claim {
    if !python_ran(analysis) {
        return said.unmeasured(NO_PYTHON);
    }
    let asked = |relation: &&Relation| {
        relation.condition.is_none() && relation.left == Measure::LagP99 && relation.right == right
    };
    let Some(relation) = analysis.relations.iter().find(asked) else {
        return said.unmeasured("Fewer than three runs have both, or one does not vary.");
    };
    let within = relation.pearson;
    let show = |found: &Correlation| {
        format!("r = {:.2} ({})", found.r, shown(found.interval, |r| format!("{r:.2}")))
    };
    let mut because = format!(
        "Within conditions, over {} runs, {}, ρ = {:.2}, r² = {:.2}; {}.",
        within.n,
        show(&within),
        relation.spearman.r,
        within.r * within.r,
        relation.evidence.sentence()
    );
    let mut numbers = vec![number("Pearson's r", &within)];
    let alpha = 1.0 - analysis.settings.level;
    let tested = matches!(relation.evidence, Evidence::Tested { .. });
    let (interval, significant) = match relation.between.filter(|_| across == Across::Conditions) {
        Some(between) => {
            because = format!("Between {} conditions, {}. {because}", between.n, show(&between));
            numbers.insert(0, number("Pearson's r between conditions", &between));
            (between.interval, between.p.is_some_and(|p| p < alpha))
        }
        None => (within.interval.filter(|_| tested), relation.evidence.found(alpha)),
    };
    let verdict = judge(
        interval,
        |interval| significant && interval.contains(claimed),
        |interval| !interval.contains(claimed),
    );
    said.judged(verdict, because, numbers)
}

fn number(name: &str, found: &Correlation) -> Number {
    Number { name: name.into(), value: found.r, interval: found.interval, n: found.n }
}

pub(super) fn storm(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "chunk_storm",
        section: "3.2",
        says: "More than 180 chunks per second consistently trigger lag spikes above 15 ms",
    };
    let python = |run: u32| {
        let of_run = analysis.runs.iter().find(|summary| summary.id == run && summary.failures.is_empty());
        of_run
            .and_then(|summary| analysis.condition(&summary.condition))
            .is_some_and(|found| found.condition.language == Language::Python)
    };
    let spikes: Vec<bool> = analysis
        .windows
        .iter()
        .filter(|window| window.chunks_per_second > 180.0 && python(window.run))
        .filter_map(|window| Some(window.lag?.max > 0.015))
        .collect();
    if spikes.len() < FEWEST_WINDOWS {
        return said.unmeasured(&format!(
            "{} seconds of Python agents had that many chunks and lag samples; {FEWEST_WINDOWS} are needed.",
            spikes.len()
        ));
    }
    let share = spikes.iter().filter(|spike| **spike).count() as f64 / spikes.len() as f64;
    let verdict = if share >= CONSISTENTLY {
        Verdict::Supported
    } else if share < 0.5 {
        Verdict::Refuted
    } else {
        Verdict::Undecided
    };
    let because = format!("{:.0} % of {} such seconds had one.", 100.0 * share, spikes.len());
    let number = Number { name: "share of seconds".into(), value: share, interval: None, n: spikes.len() };
    said.judged(verdict, because, vec![number])
}

pub(super) fn regression(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "regression",
        section: "6.2",
        says: "Each millisecond of lag p99 costs 0.52 points of efficiency, with the chunk rate R² = 0.91",
    };
    if !python_ran(analysis) {
        return said.unmeasured(NO_PYTHON);
    }
    let Some(model) = &analysis.model else {
        return said.unmeasured("Fewer than four runs have lag, chunks and efficiency, or they do not vary.");
    };
    let fit = &model.fit;
    let slope = fit.coefficients[1];
    // Converts efficiency per second into points per millisecond.
    let points = |value: f64| value / 10.0;
    let interval = slope.interval.map(points);
    let verdict = judge(
        Some(interval),
        |interval| interval.high < 0.0 && interval.contains(-0.52),
        |interval| !interval.contains(-0.52),
    );
    let because = format!(
        "Over {} runs it is {:+.2} points ({}), R² = {:.2}, adjusted {:.2}.",
        fit.n,
        points(slope.value),
        shown(Some(interval), |points| format!("{points:+.2}")),
        fit.r_squared,
        fit.adjusted_r_squared
    );
    let number = Number {
        name: "points per millisecond".into(),
        value: points(slope.value),
        interval: Some(interval),
        n: fit.n,
    };
    said.judged(verdict, because, vec![number])
}

pub(super) fn parsing(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "parse_time",
        section: "3.3",
        says: "Parsing a chunk takes 0.023 ms, which is negligible",
    };
    let worst = analysis
        .conditions
        .iter()
        .filter(|found| found.condition.language == Language::Python)
        .filter_map(|found| Some((found, found.mean(Measure::ParseMean)?, found.mean(Measure::GapP50)?)))
        .max_by(|a, b| (a.1.value / a.2.value).total_cmp(&(b.1.value / b.2.value)));
    let Some((condition, parse, gap)) = worst else {
        return said.unmeasured("No parse times of Python agents were recorded.");
    };
    let share = parse.value / gap.value;
    let verdict = if share < 0.01 {
        Verdict::Supported
    } else if share > 0.05 {
        Verdict::Refuted
    } else {
        Verdict::Undecided
    };
    let because = format!(
        "At worst ({}) it takes {}, {:.2} % of the gap between chunks.",
        condition.condition.name,
        Measure::ParseMean.show(parse.value),
        100.0 * share
    );
    said.judged(verdict, because, vec![Number::of_mean("mean parse time", &parse)])
}
