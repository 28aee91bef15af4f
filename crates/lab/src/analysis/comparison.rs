//! Compares one condition with another.

use serde::Serialize;

use super::{
    ConditionSummary, Evidence, Measure, Settings, TrueSpeedup,
    evidence::enough,
    statistic::{
        Effect, Interval, Permutation, Random, detectable_shift, hedges_g, holm, permutation_test,
        satterthwaite_error, t_quantile, t_two_sided, welch,
    },
};

/// The comparison of two conditions by one measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The measure.
    pub measure: Measure,
    /// The condition.
    pub condition: String,
    /// The condition that it is compared with.
    pub baseline: String,
    /// The runs of the condition, and of the baseline.
    pub runs: (usize, usize),
    /// Condition − baseline, in the measure's unit.
    pub difference: f64,
    /// Welch's interval of the difference. For the true efficiency it includes the uncertainty of the solo runs.
    /// `None`: there are too few runs, or the values do not vary.
    pub interval: Option<Interval>,
    /// Whether the difference is beyond chance, by Welch's test, corrected over all comparisons of this measure.
    pub evidence: Evidence,
    /// The permutation test of the difference, if there are enough runs. It assumes no distribution.
    pub permutation: Option<Permutation>,
    /// The difference relative to the noise.
    pub effect: Option<Effect>,
    /// The difference that these runs would have shown with the power of [`Settings`] (80 %), in the measure's unit.
    /// A smaller difference may exist unnoticed.
    pub detectable: Option<f64>,
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
        // Shared solo runs shift both sides alike. Separate solo runs add their noise to the difference.
        let own_baselines = measure == Measure::TrueEfficiency && condition.baseline != baseline.baseline;
        let difference = if own_baselines {
            by_speedups(&condition.truth?, &baseline.truth?, settings.level)
        } else {
            welch(first, second, settings.level).ok().map(|test| Difference {
                value: test.difference,
                interval: test.interval,
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
        let permutation = sufficient.ok().and_then(|()| {
            permutation_test(first, second, settings.resamples, &mut Random::new(settings.seed)).ok()
        });
        Some(Comparison {
            measure,
            condition: condition.condition.name.clone(),
            baseline: baseline.condition.name.clone(),
            runs: (first.len(), second.len()),
            difference: difference.map_or(first_mean.value - second_mean.value, |found| found.value),
            interval: difference.map(|found| found.interval),
            evidence,
            permutation,
            effect: hedges_g(first, second, settings.level).ok(),
            detectable: difference.and_then(|found| {
                Some(found.error * detectable_shift(found.df, alpha, settings.power).ok()?)
            }),
        })
    }

    /// Corrects the p-values of each measure for the number of conditions that were compared.
    pub(super) fn correct(comparisons: &mut [Comparison]) {
        for measure in Measure::COMPARED {
            let mut tested: Vec<(f64, &mut f64)> = comparisons
                .iter_mut()
                .filter(|comparison| comparison.measure == measure)
                .filter_map(|comparison| match &mut comparison.evidence {
                    Evidence::Tested { p, corrected } => Some((*p, corrected)),
                    _ => None,
                })
                .collect();
            let corrections = holm(&tested.iter().map(|(p, _)| *p).collect::<Vec<f64>>());
            for ((_, corrected), correction) in tested.iter_mut().zip(corrections) {
                **corrected = correction;
            }
        }
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
        let Comparison { measure, condition, baseline, runs, difference, .. } = self;
        let show = |value: f64| measure.show(value);
        let interval = self.interval.map_or(String::new(), |interval| {
            format!(
                " ({:.0} % interval {} to {})",
                100.0 * interval.level,
                show(interval.low),
                show(interval.high)
            )
        });
        let alpha = self.interval.map_or(0.05, |interval| 1.0 - interval.level);
        let seen = match (self.evidence, self.detectable) {
            (evidence, Some(least)) if evidence.p().is_some() && !evidence.found(alpha) => {
                format!("; these runs would have shown {}", show(least))
            }
            _ => String::new(),
        };
        format!(
            "{}: {condition} against {baseline} {}{}{interval}, {} and {} runs, {}{seen}",
            measure.name(),
            if *difference >= 0.0 { "+" } else { "" },
            show(*difference),
            runs.0,
            runs.1,
            self.evidence.sentence(),
        )
    }
}

#[derive(Clone, Copy)]
struct Difference {
    value: f64,
    interval: Interval,
    df: f64,
    error: f64,
    p: f64,
}

/// Returns the difference of two efficiencies, with the uncertainty of all their inputs.
fn by_speedups(first: &TrueSpeedup, second: &TrueSpeedup, level: f64) -> Option<Difference> {
    let error = |truth: &TrueSpeedup| Some((truth.efficiency * truth.relative_error?, truth.df?));
    let (error, df) = satterthwaite_error(&[error(first)?, error(second)?])?;
    let value = first.efficiency - second.efficiency;
    let interval = Interval::around(value, t_quantile(0.5 + 0.5 * level, df) * error, level);
    Some(Difference { value, interval, df, error, p: t_two_sided(value / error, df) })
}
