//! Compares one condition with another.

mod outcome;

use serde::Serialize;

use super::{
    ConditionSummary, Evidence, Measure, Sampled, Settings, TrueSpeedup,
    condition::PAIRS,
    evidence::enough,
    statistic::{
        Effect, Interval, Permutation, Random, UnitError, detectable_shift, hedges_g, mean, permutation_test,
        permutation_test_with_baselines, satterthwaite, sign_flip_test, t_quantile, t_two_sided, welch,
    },
};

pub(crate) use outcome::Outcome;

/// If a comparison needs more runs of each condition than this, no number of runs is suggested.
const MOST_RUNS: usize = 10_000;

/// The comparison of two conditions by one measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The measure.
    pub(crate) measure: Measure,
    /// The condition.
    pub(crate) condition: String,
    /// The condition that it is compared with.
    pub(crate) baseline: String,
    /// The runs of the condition, and of the baseline. For live traffic, the blocks of time.
    pub(crate) runs: (usize, usize),
    /// Whether `runs` and `more_runs` count runs or blocks of time.
    pub(crate) sampled: Sampled,
    /// Condition − baseline, in the measure's unit.
    pub(crate) difference: f64,
    /// Whether the two were compared within repetitions, by the differences of pairs. If not, Welch's test compares them.
    pub(crate) paired: bool,
    /// The standard error of the difference.
    pub(crate) standard_error: Option<f64>,
    /// The degrees of freedom of the standard error.
    pub(crate) df: Option<f64>,
    /// The error of the solo runs that both sides share, if they are not in the standard error. They are the unit of both
    /// efficiencies: an error of theirs changes the size of the difference, and never its sign.
    #[serde(skip)]
    pub(super) unit: Option<UnitError>,
    /// The interval of the difference, corrected like the p-value. For the true efficiency it includes the uncertainty of
    /// the solo runs. `None`: there are too few runs, or the values do not vary.
    pub(crate) interval: Option<Interval>,
    /// Whether the difference is beyond chance, corrected over the family of comparisons.
    pub(crate) evidence: Evidence,
    /// The permutation test of the difference, if there are enough runs. It assumes no distribution.
    pub(crate) permutation: Option<Permutation>,
    /// The difference relative to the noise.
    pub(crate) effect: Option<Effect>,
    /// The difference that these runs would have shown with the power of [`Settings`] (80 %), in the measure's unit.
    /// It accounts for the correction. A smaller difference may exist unnoticed.
    pub(crate) detectable: Option<f64>,
    /// The equivalence margin, in the measure's unit.
    pub(crate) margin: f64,
    /// The verdict.
    pub(crate) verdict: Outcome,
    /// The number of further runs of each condition that would decide it. `None`: it is decided, or too many are needed.
    pub(crate) more_runs: Option<usize>,
}

impl Comparison {
    /// Compares a measure. `None`: one side has no value.
    pub(super) fn of(
        measure: Measure,
        condition: &ConditionSummary,
        baseline: &ConditionSummary,
        settings: &Settings,
    ) -> Option<Comparison> {
        let (first, second) = (condition.values(measure), baseline.values(measure));
        let (first_mean, second_mean) = (condition.mean(measure)?, baseline.mean(measure)?);
        // Repetitions of two recordings have nothing in common but their number.
        let pairs = match condition.condition.recording == baseline.condition.recording {
            true => pairs(condition, baseline, measure),
            false => Vec::new(),
        };
        let paired = pairs.len() >= PAIRS;
        // Shared solo runs are the unit of both sides. Separate solo runs add their noise to the difference.
        let own_baselines = measure == Measure::TrueEfficiency && condition.baseline != baseline.baseline;
        let difference = if paired {
            by_pairs(&pairs, settings.level)
        } else if own_baselines {
            by_speedups(&condition.truth?, &baseline.truth?)
        } else {
            welch(first, second, settings.level).ok().map(|test| Difference {
                value: test.difference,
                df: test.df,
                error: test.standard_error,
                p: test.p,
            })
        };
        let alpha = 1.0 - settings.level;
        let sufficient = enough(first.len(), second.len(), alpha);
        let evidence = match (sufficient, difference) {
            (Err(need), _) => Evidence::TooFew { have: first.len().min(second.len()), need },
            (Ok(()), None) => Evidence::NoNoise,
            (Ok(()), Some(Difference { p, .. })) => Evidence::Tested { p, corrected: p },
        };
        let kind = Kind { paired, own_baselines };
        let permutation =
            sufficient.ok().and_then(|()| permutation(measure, condition, baseline, kind, settings));
        let effect = effect(measure, condition, baseline, kind, difference, settings.level);
        let plain = if paired {
            mean(&pairs, settings.level).ok()?.value
        } else {
            first_mean.value - second_mean.value
        };
        Some(Comparison {
            measure,
            condition: condition.condition.name.clone(),
            baseline: baseline.condition.name.clone(),
            runs: if paired { (pairs.len(), pairs.len()) } else { (first.len(), second.len()) },
            sampled: Sampled::Runs,
            paired,
            difference: difference.map_or(plain, |found| found.value),
            standard_error: difference.map(|found| found.error),
            df: difference.map(|found| found.df),
            unit: baseline.unit(measure).filter(|_| !paired && !own_baselines),
            interval: None,
            evidence,
            permutation,
            effect,
            detectable: None,
            margin: 0.0,
            verdict: Outcome::Undecided,
            more_runs: None,
        })
    }

    /// Returns the comparison of two rates of live traffic over `blocks` of time. `names` are those of the two sides, and
    /// `found` is the standard error with its degrees of freedom, and the evidence.
    #[cfg(feature = "experiment")]
    pub(super) fn of_rates(
        measure: Measure,
        names: [&str; 2],
        blocks: (usize, usize),
        difference: f64,
        found: (Option<(f64, f64)>, Evidence),
    ) -> Comparison {
        let (error, evidence) = found;
        Comparison {
            measure,
            condition: names[0].to_owned(),
            baseline: names[1].to_owned(),
            runs: blocks,
            sampled: Sampled::Blocks,
            difference,
            paired: false,
            standard_error: error.map(|(error, _)| error),
            df: error.map(|(_, df)| df),
            unit: None,
            interval: None,
            evidence,
            permutation: None,
            effect: None,
            detectable: None,
            margin: 0.0,
            verdict: Outcome::Undecided,
            more_runs: None,
        }
    }

    /// Decides the comparison, after the correction of its family of `tested` hypotheses. `baseline` is the mean of the
    /// baseline.
    pub(super) fn decide(&mut self, tested: usize, baseline: f64, settings: &Settings) {
        let alpha = 1.0 - settings.level;
        let each = alpha / tested as f64;
        self.margin = settings.margin * baseline.abs();
        self.detectable = self
            .standard_error
            .zip(self.df)
            .and_then(|(error, df)| Some(error * detectable_shift(df, each, settings.power).ok()?));
        let Some(interval) = self.interval.filter(|_| self.evidence.p().is_some()) else {
            match self.evidence {
                // As many as a test needs may still be too few to decide.
                Evidence::TooFew { have, need } => {
                    self.more_runs = self.runs_needed(each, settings.power).max(Some(need - have));
                }
                // Enough runs of each side that do not vary leave nothing to chance.
                Evidence::NoNoise if self.difference.abs() <= self.margin => {
                    self.verdict = Outcome::Equivalent
                }
                Evidence::NoNoise => self.verdict = self.outcome(),
                Evidence::Tested { .. } => {}
            }
            return;
        };
        let within = -self.margin <= interval.low && interval.high <= self.margin;
        self.verdict = match self.evidence.found(alpha) {
            _ if within => Outcome::Equivalent,
            false => Outcome::Undecided,
            true => self.outcome(),
        };
        if self.verdict == Outcome::Undecided {
            self.more_runs = self.runs_needed(each, settings.power);
        }
    }

    /// Returns the verdict on a difference that is beyond chance.
    fn outcome(&self) -> Outcome {
        let more = self.difference > 0.0;
        match self.measure.more_is_better() {
            None if more => Outcome::Higher,
            None => Outcome::Lower,
            Some(better) if better == more => Outcome::Better,
            Some(_) => Outcome::Worse,
        }
    }

    /// Returns how many more runs of each show a difference of the size of the margin with this power.
    fn runs_needed(&self, alpha: f64, power: f64) -> Option<usize> {
        let (error, df) = self.standard_error.zip(self.df)?;
        let have = self.runs.0.min(self.runs.1);
        // Twice the runs have half the variance.
        let enough = |runs: usize| {
            let growth = runs as f64 / have as f64;
            let df = df * growth;
            let shift = t_quantile(1.0 - 0.5 * alpha, df) + t_quantile(power, df);
            error / growth.sqrt() * shift <= self.margin
        };
        let mut high = have + 1;
        while !enough(high) {
            if high > MOST_RUNS {
                return None;
            }
            high *= 2;
        }
        let mut low = have;
        while low + 1 < high {
            let middle = low.midpoint(high);
            if enough(middle) { high = middle } else { low = middle }
        }
        Some(high - have)
    }

    /// Returns how many times as long live traffic would have to be recorded. `None`: it is decided, or not live.
    #[cfg(feature = "experiment")]
    pub(crate) fn times_longer(&self) -> Option<f64> {
        let (have, more) = (self.runs.0.min(self.runs.1), self.more_runs?);
        (self.sampled == Sampled::Blocks && have > 0).then(|| (have + more) as f64 / have as f64)
    }

    /// Swaps the condition and the baseline.
    pub(super) fn turned(&self) -> Comparison {
        let turn = |interval: Interval| Interval { low: -interval.high, high: -interval.low, ..interval };
        Comparison {
            condition: self.baseline.clone(),
            baseline: self.condition.clone(),
            runs: (self.runs.1, self.runs.0),
            difference: -self.difference,
            interval: self.interval.map(turn),
            verdict: match self.verdict {
                Outcome::Better => Outcome::Worse,
                Outcome::Worse => Outcome::Better,
                Outcome::Higher => Outcome::Lower,
                Outcome::Lower => Outcome::Higher,
                same => same,
            },
            permutation: self.permutation.map(|test| Permutation { difference: -test.difference, ..test }),
            effect: self.effect.map(|effect| Effect {
                g: -effect.g,
                interval: effect.interval.map(turn),
                ..effect
            }),
            ..self.clone()
        }
    }

    /// Returns it as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Comparison { measure, condition, baseline, .. } = self;
        format!("{}: {condition} against {baseline} {}", measure.name(), self.figures())
    }

    /// Returns the largest of the difference and the ends of its interval, whose unit all of them are shown in.
    pub(crate) fn largest(&self) -> f64 {
        let ends = self.interval.map_or(0.0, |interval| interval.low.abs().max(interval.high.abs()));
        self.difference.abs().max(ends)
    }

    /// Returns the difference with its sign, and both ends of its interval. Only the upper end has the unit.
    pub(crate) fn size(&self) -> (String, Option<(String, String)>) {
        let Comparison { measure, difference, .. } = self;
        let largest = self.largest();
        let sign = if *difference >= 0.0 { "+" } else { "" };
        let range = self.interval.map(|interval| {
            let (low, _) = measure.range(interval, largest);
            (low, measure.show_difference_in(interval.high, largest))
        });
        (format!("{sign}{}", measure.show_difference_in(*difference, largest)), range)
    }

    /// Returns the difference with its evidence.
    fn figures(&self) -> String {
        let Comparison { measure, runs, .. } = self;
        let (difference, range) = self.size();
        let interval = self.interval.zip(range).map_or(String::new(), |(interval, (low, high))| {
            format!(" ({:.0} % interval {low} to {high})", 100.0 * interval.level)
        });
        let alpha = self.interval.map_or(0.05, |interval| 1.0 - interval.level);
        let seen = match (self.evidence, self.detectable) {
            (evidence, Some(least)) if evidence.p().is_some() && !evidence.found(alpha) => {
                format!("; these runs would have shown {}", measure.show_difference(least))
            }
            _ => String::new(),
        };
        format!(
            "{difference}{interval}, {}, {}{seen}",
            if self.paired {
                format!("{} pairs of runs", runs.0)
            } else {
                format!("{} and {} {}", runs.0, runs.1, self.sampled.noun())
            },
            self.evidence.sentence_of(self.sampled),
        )
    }

    /// Returns the difference and its interval, for a sentence that has no room for more.
    #[must_use]
    pub(crate) fn brief(&self) -> String {
        let (difference, range) = self.size();
        let interval = range.map_or(String::new(), |(low, high)| format!(" ({low} to {high})"));
        difference + &interval
    }

    /// Returns the verdict as a short sentence, without the evidence.
    #[must_use]
    pub(crate) fn brief_verdict(&self) -> String {
        let Comparison { measure, condition, baseline, .. } = self;
        let (name, brief) = (measure.name(), self.brief());
        match self.verdict {
            Outcome::Better => format!("{condition} is better than {baseline} in {name}: {brief}"),
            Outcome::Worse => format!("{condition} is worse than {baseline} in {name}: {brief}"),
            Outcome::Higher => format!("{condition} has a higher {name} than {baseline}: {brief}"),
            Outcome::Lower => format!("{condition} has a lower {name} than {baseline}: {brief}"),
            Outcome::Equivalent => format!(
                "{condition} and {baseline} are equivalent in {name}, within {}: {brief}",
                measure.show_difference(self.margin)
            ),
            Outcome::Undecided => {
                let more = match self.more_runs {
                    Some(1) => "1 more run of each would decide".to_owned(),
                    Some(more) => format!("about {more} more runs of each would decide"),
                    None => "more runs would hardly decide".to_owned(),
                };
                format!("{condition} against {baseline} is undecided in {name}: {brief}; {more}")
            }
        }
    }

    /// Returns the verdict as a sentence.
    #[must_use]
    #[cfg(feature = "experiment")]
    pub(crate) fn verdict_sentence(&self) -> String {
        let Comparison { measure, condition, baseline, .. } = self;
        let (name, figures) = (measure.name(), self.figures());
        let margin = measure.show_difference(self.margin);
        match self.verdict {
            Outcome::Better => format!("{condition} is better than {baseline} in {name}: {figures}"),
            Outcome::Worse => format!("{condition} is worse than {baseline} in {name}: {figures}"),
            Outcome::Higher => format!("{condition} has a higher {name} than {baseline}: {figures}"),
            Outcome::Lower => format!("{condition} has a lower {name} than {baseline}: {figures}"),
            Outcome::Equivalent => {
                format!("{condition} and {baseline} are equivalent in {name}, within {margin}: {figures}")
            }
            Outcome::Undecided => {
                let more = match (self.more_runs, self.times_longer()) {
                    (_, Some(times)) => {
                        format!(
                            "recordings about {times:.1} times as long would decide a difference of {margin}"
                        )
                    }
                    (Some(1), None) => format!("1 more run of each would decide a difference of {margin}"),
                    (Some(more), None) => {
                        format!("about {more} more runs of each would decide a difference of {margin}")
                    }
                    (None, None) => {
                        format!("more {} would hardly decide a difference of {margin}", self.sampled.noun())
                    }
                };
                format!("{condition} against {baseline} is undecided in {name}: {figures}; {more}")
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Difference {
    value: f64,
    df: f64,
    error: f64,
    p: f64,
}

/// Returns condition − baseline for each repetition that has both.
fn pairs(condition: &ConditionSummary, baseline: &ConditionSummary, measure: Measure) -> Vec<f64> {
    let (first, second) = paired_values(condition, baseline, measure);
    first.iter().zip(&second).map(|(first, second)| first - second).collect()
}

/// Returns the values of both in each repetition that has both.
fn paired_values(
    condition: &ConditionSummary,
    baseline: &ConditionSummary,
    measure: Measure,
) -> (Vec<f64>, Vec<f64>) {
    let values = |summary: &ConditionSummary| summary.repetitions.get(&measure).cloned().unwrap_or_default();
    let baseline = values(baseline);
    values(condition)
        .into_iter()
        .filter_map(|(repetition, value)| Some((value, *baseline.get(&repetition)?)))
        .unzip()
}

/// How two conditions are compared.
#[derive(Clone, Copy)]
struct Kind {
    /// Within repetitions.
    paired: bool,
    /// By efficiencies that are relative to solo runs of each condition's own.
    own_baselines: bool,
}

/// Returns a permutation test that contains the variance of the solo runs.
fn permutation(
    measure: Measure,
    condition: &ConditionSummary,
    baseline: &ConditionSummary,
    kind: Kind,
    settings: &Settings,
) -> Option<Permutation> {
    let sides = (condition.values(measure), baseline.values(measure));
    let (most, mut random) = (settings.resamples, Random::new(settings.seed));
    let test = if kind.paired {
        sign_flip_test(&pairs(condition, baseline, measure), most, &mut random)
    } else if kind.own_baselines {
        permutation_test_with_baselines(sides, (&condition.solo(), &baseline.solo()), most, &mut random)
    } else {
        permutation_test(sides.0, sides.1, most, &mut random)
    };
    test.ok()
}

/// Returns Hedges' g with the variance of the solo runs: within repetitions, each value has that of its repetition, and
/// otherwise the standard error has that of solo runs of each side's own. Solo runs that both sides share shift both alike.
fn effect(
    measure: Measure,
    condition: &ConditionSummary,
    baseline: &ConditionSummary,
    kind: Kind,
    difference: Option<Difference>,
    level: f64,
) -> Option<Effect> {
    let (first, second) = (condition.values(measure), baseline.values(measure));
    match difference {
        _ if kind.paired => {
            let (first, second) = paired_values(condition, baseline, measure);
            hedges_g(&first, &second, level).ok()
        }
        Some(Difference { value, df, error, .. }) if kind.own_baselines => {
            Effect::of_error(value, error, df, (first.len(), second.len()), level)
        }
        _ => hedges_g(first, second, level).ok(),
    }
}

/// Tests the mean of the pairs by Student's t test. `None`: the pairs do not vary.
fn by_pairs(pairs: &[f64], level: f64) -> Option<Difference> {
    let found = mean(pairs, level).ok()?;
    let error = found.deviation.filter(|deviation| *deviation > 0.0)? / (pairs.len() as f64).sqrt();
    let df = (pairs.len() - 1) as f64;
    Some(Difference { value: found.value, df, error, p: t_two_sided(found.value / error, df) })
}

/// Returns the difference of two efficiencies, with the uncertainty of all their inputs. `None`: the inputs do not vary.
fn by_speedups(first: &TrueSpeedup, second: &TrueSpeedup) -> Option<Difference> {
    let part = |truth: &TrueSpeedup| Some(((truth.efficiency * truth.relative_error?).powi(2), truth.df?));
    let parts = [part(first)?, part(second)?];
    let (error, df) = ((parts[0].0 + parts[1].0).sqrt(), satterthwaite(&parts));
    if error == 0.0 {
        return None;
    }
    let value = first.efficiency - second.efficiency;
    Some(Difference { value, df, error, p: t_two_sided(value / error, df) })
}
