//! Families of hypotheses: the comparisons whose p-values and intervals are corrected together.
//!
//! A recording has two families: the comparisons of the measures that the advice uses ([`Measure::DECIDING`]), and those
//! of the other measures. Recordings do not affect each other.

use std::collections::BTreeMap;

use super::{
    Comparison, ConditionSummary, Evidence, Measure, Settings,
    statistic::{Interval, holm, scaled_interval},
};

/// Corrects the p-values of each family by Holm's method, and each interval by the same factor as its p-value, so that
/// an interval contains 0 if and only if its corrected p-value is not below the level. The corrected values then decide
/// each comparison.
pub(super) fn correct(comparisons: &mut [Comparison], conditions: &[ConditionSummary], settings: &Settings) {
    let recording = |name: &str| {
        conditions.iter().find(|found| found.condition.name == name).map(|found| found.condition.recording)
    };
    let mut families: BTreeMap<(Option<u32>, bool), Vec<&mut Comparison>> = BTreeMap::new();
    for comparison in comparisons {
        let family = (recording(&comparison.condition), Measure::DECIDING.contains(&comparison.measure));
        families.entry(family).or_default().push(comparison);
    }
    for family in families.values_mut() {
        correct_family(family, settings);
        let tested = family.iter().filter(|found| found.evidence.p().is_some()).count();
        for comparison in family {
            let baseline = conditions.iter().find(|found| found.condition.name == comparison.baseline);
            let mean = baseline.and_then(|baseline| baseline.mean(comparison.measure));
            comparison.decide(tested.max(1), mean.map_or(0.0, |mean| mean.value), settings);
        }
    }
}

fn correct_family(family: &mut [&mut Comparison], settings: &Settings) {
    let alpha = 1.0 - settings.level;
    let p = |comparison: &Comparison| match comparison.evidence {
        Evidence::Tested { p, .. } => p,
        Evidence::TooFew { .. } | Evidence::NoNoise => f64::NAN,
    };
    let raw: Vec<f64> = family.iter().map(|comparison| p(comparison)).collect();
    let corrected = holm(&raw);
    let mut order: Vec<usize> = (0..raw.len()).filter(|place| !raw[*place].is_nan()).collect();
    order.sort_by(|a, b| raw[*a].total_cmp(&raw[*b]));
    // Holm's factor falls from step to step, until a hypothesis is kept. All later hypotheses have the same factor.
    let mut factor = order.len().max(1);
    let mut kept = false;
    let mut factors = vec![family.len().max(1); family.len()];
    for (step, place) in order.iter().enumerate() {
        if !kept {
            factor = order.len() - step;
            kept = corrected[*place] >= alpha;
        }
        factors[*place] = factor;
    }
    for ((comparison, corrected), factor) in family.iter_mut().zip(corrected).zip(factors) {
        if let Evidence::Tested { corrected: value, .. } = &mut comparison.evidence {
            *value = corrected;
        }
        if let Some((error, df)) = comparison.standard_error.zip(comparison.df) {
            let level = 1.0 - alpha / factor as f64;
            let interval = scaled_interval(comparison.difference, (error, df), comparison.unit, level);
            comparison.interval = Some(Interval { level: settings.level, ..interval });
        }
    }
}
