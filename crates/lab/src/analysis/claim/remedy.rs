//! Claims about remedies. Each is compared with the condition without the remedy.

use super::{Claim, Number, Said, apart, judge, shown};
use crate::analysis::{Alone, Analysis, Comparison, Measure, Remedy, true_speedup};

/// A difference in efficiency that TR117 calls insignificant.
const NEGLIGIBLE: f64 = 0.01;

/// Returns the comparison of a condition whose only remedy is a wanted one, with a condition without a remedy. The two
/// may be conditions of different recordings.
fn with(analysis: &Analysis, measure: Measure, wanted: impl Fn(&Remedy) -> bool) -> Option<&Comparison> {
    let remedies = |name: &str| analysis.condition(name).map(|found| found.condition.remedies.as_slice());
    let is_wanted = |found: &&Comparison| {
        found.measure == measure
            && matches!(remedies(&found.condition), Some([remedy]) if wanted(remedy))
            && remedies(&found.baseline) == Some(&[])
    };
    analysis.all_comparisons().find(is_wanted)
}

pub(super) fn slower_is_faster(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "slower_is_faster",
        section: "5.2, Q3",
        says: "Pacing agents to 60 tok/s makes them 2 percentage points more efficient",
    };
    let paced =
        |remedy: &Remedy| matches!(remedy, Remedy::Pace(_) | Remedy::LeakyPace(_) | Remedy::SidecarPace(_));
    let Some(overlap) = with(analysis, Measure::OverlapEfficiency, paced) else {
        return said.unmeasured("No paced condition is compared with one without a pace.");
    };
    let found = overlap.evidence.found(1.0 - analysis.settings.level);
    let verdict =
        judge(overlap.interval, |interval| found && interval.low > 0.0, |interval| interval.high < 0.02);
    let mut numbers = vec![Number::of_comparison(overlap)];
    let mut because = format!("{}.", overlap.sentence());
    if let Some(truth) = with(analysis, Measure::TrueEfficiency, paced) {
        because.push_str(&format!(" Compared with solo runs: {}.", truth.sentence()));
        numbers.push(Number::of_comparison(truth));
    }
    said.judged(verdict, because, numbers)
}

pub(super) fn buffer_efficiency(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "buffer_efficiency",
        section: "3.6",
        says: "A read buffer of 64 KiB does not change efficiency",
    };
    let Some(comparison) =
        with(analysis, Measure::OverlapEfficiency, |remedy| matches!(remedy, Remedy::ReadBuffer(_)))
    else {
        return said.unmeasured("No condition with another read buffer is compared with one without.");
    };
    let verdict = judge(
        comparison.interval,
        |interval| -NEGLIGIBLE < interval.low && interval.high < NEGLIGIBLE,
        |interval| apart(interval, -NEGLIGIBLE, NEGLIGIBLE),
    );
    said.judged(verdict, format!("{}.", comparison.sentence()), vec![Number::of_comparison(comparison)])
}

pub(super) fn buffer_chunks(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "buffer_chunks",
        section: "3.6",
        says: "A read buffer of 64 KiB does not change the number of chunks per second",
    };
    let wanted = |remedy: &Remedy| matches!(remedy, Remedy::ReadBuffer(_));
    // The ratio in TR117: 195 instead of 197.
    by_ratio(analysis, said, Measure::ChunksPerSecond, wanted, (0.95, 1.05), "another read buffer")
}

pub(super) fn uvloop(analysis: &Analysis) -> Claim {
    let said = Said { id: "uvloop", section: "8.2", says: "uvloop lowers lag by 20 to 30 %" };
    let wanted = |remedy: &Remedy| *remedy == Remedy::Uvloop;
    by_ratio(analysis, said, Measure::LagP99, wanted, (0.7, 0.8), "uvloop")
}

pub(super) fn batching(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "batching",
        section: "9.3",
        says: "Batches of 50 ms reduce the number of events by 80 to 90 %",
    };
    let wanted = |remedy: &Remedy| matches!(remedy, Remedy::Batch(_));
    by_ratio(analysis, said, Measure::ChunksPerSecond, wanted, (0.1, 0.2), "batches")
}

/// Judges a claim about a ratio. The claim is supported if the interval of the ratio overlaps the claimed range and does
/// not contain 1. A claim of "no change" is supported if the interval lies within the range. Either is refuted if the
/// interval does not overlap the range.
fn by_ratio(
    analysis: &Analysis,
    said: Said,
    measure: Measure,
    wanted: impl Fn(&Remedy) -> bool,
    (low, high): (f64, f64),
    what: &str,
) -> Claim {
    let number = with(analysis, measure, wanted).and_then(|comparison| ratio(analysis, comparison, measure));
    let Some(number) = number else {
        return said.unmeasured(&format!("No condition with only {what} is compared with one without."));
    };
    let no_change = (low..=high).contains(&1.0);
    let verdict = judge(
        number.interval,
        |interval| {
            if no_change {
                low <= interval.low && interval.high <= high
            } else {
                !apart(interval, low, high) && !interval.contains(1.0)
            }
        },
        |interval| apart(interval, low, high),
    );
    // A ratio of 0.003 is not 0.00.
    let show = |value: f64| if value < 0.1 { format!("{value:.4}") } else { format!("{value:.2}") };
    let because = format!("{}: {} ({}).", number.name, show(number.value), shown(number.interval, show));
    said.judged(verdict, because, vec![number])
}

/// Returns the mean of a measure of one condition divided by that of another, with the interval of [`true_speedup`].
fn ratio(analysis: &Analysis, comparison: &Comparison, measure: Measure) -> Option<Number> {
    let values = |name: &str| Some(analysis.condition(name)?.values(measure));
    let (numerator, denominator) = (values(&comparison.condition)?, values(&comparison.baseline)?);
    let found =
        true_speedup(&[Alone { durations: numerator, agents: 1 }], denominator, analysis.settings.level)
            .ok()?;
    Some(Number {
        name: format!("{} of {} over {}", measure.name(), comparison.condition, comparison.baseline),
        value: found.speedup,
        // With a single run on either side, the interval would be that of the other side only.
        interval: found.interval.filter(|_| numerator.len() > 1 && denominator.len() > 1),
        n: numerator.len() + denominator.len(),
    })
}
