//! Verdicts on the claims of TR117.
//!
//! Each claim is compared with an interval of this recording. It is supported if the interval lies within the claimed
//! range, refuted if it lies outside, and undecided otherwise.

mod efficiency;
mod lag;
mod remedy;

use serde::Serialize;

use super::{
    Alone, Analysis, Comparison, Measure,
    statistic::{Interval, Mean},
    true_speedup,
};

/// A claim of TR117, and the verdict of this recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// A stable identifier.
    pub id: &'static str,
    /// The section of TR117.
    pub section: &'static str,
    /// The claim.
    pub says: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason.
    pub because: String,
    /// The numbers behind it.
    pub numbers: Vec<Number>,
}

/// The verdict of a recording on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The claim holds here.
    Supported,
    /// The claim does not hold here.
    Refuted,
    /// This recording cannot decide it.
    Undecided,
}

/// A figure behind a verdict, in base units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Number {
    /// The name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// The interval.
    pub interval: Option<Interval>,
    /// The number of runs or windows.
    pub n: usize,
}

/// Returns every claim, in the order of TR117.
pub(super) fn claims(analysis: &Analysis) -> Vec<Claim> {
    vec![
        efficiency::ceiling(analysis),
        efficiency::gain(analysis),
        lag::explains(analysis),
        lag::follows_chunks(analysis),
        lag::storm(analysis),
        lag::regression(analysis),
        lag::parsing(analysis),
        remedy::buffer_efficiency(analysis),
        remedy::buffer_chunks(analysis),
        efficiency::pcie(analysis),
        efficiency::tokenizer(),
        remedy::slower_is_faster(analysis),
        remedy::uvloop(analysis),
        remedy::batching(analysis),
        efficiency::rust(analysis),
        efficiency::rust_gain(analysis),
        efficiency::rust_mandatory(analysis),
    ]
}

impl Claim {
    /// Returns it as a word.
    #[must_use]
    pub fn sentence(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Supported => "supported",
            Verdict::Refuted => "refuted",
            Verdict::Undecided => "undecided",
        };
        format!("“{}” ({}): {verdict}. {}", self.says, self.section, self.because)
    }
}

/// A claim before its verdict.
struct Said {
    id: &'static str,
    section: &'static str,
    says: &'static str,
}

impl Said {
    fn judged(self, verdict: Verdict, because: String, numbers: Vec<Number>) -> Claim {
        let Said { id, section, says } = self;
        Claim { id, section, says, verdict, because, numbers }
    }

    fn unmeasured(self, because: &str) -> Claim {
        self.judged(Verdict::Undecided, because.into(), Vec::new())
    }
}

impl Number {
    fn of_mean(name: impl Into<String>, mean: &Mean) -> Number {
        Number { name: name.into(), value: mean.value, interval: mean.interval, n: mean.n }
    }

    fn of_comparison(comparison: &Comparison) -> Number {
        Number {
            name: format!("{} less {}", comparison.condition, comparison.baseline),
            value: comparison.difference,
            interval: comparison.interval,
            n: comparison.runs.0 + comparison.runs.1,
        }
    }
}

/// Returns `Supported` if the whole interval is `within`, `Refuted` if all of it is `without`, and `Undecided`
/// otherwise.
fn judge(
    interval: Option<Interval>,
    within: impl Fn(Interval) -> bool,
    without: impl Fn(Interval) -> bool,
) -> Verdict {
    match interval {
        Some(interval) if within(interval) => Verdict::Supported,
        Some(interval) if without(interval) => Verdict::Refuted,
        _ => Verdict::Undecided,
    }
}

fn apart(interval: Interval, low: f64, high: f64) -> bool {
    interval.high < low || high < interval.low
}

/// Formats an interval. `show` formats a value.
fn shown(interval: Option<Interval>, show: impl Fn(f64) -> String) -> String {
    interval.map_or("not repeated, so no interval".into(), |interval| {
        format!("{:.0} % interval {} to {}", 100.0 * interval.level, show(interval.low), show(interval.high))
    })
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
