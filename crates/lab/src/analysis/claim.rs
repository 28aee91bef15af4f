//! What becomes of Technical Report 117's claims.
//!
//! Each is held against this recording by an interval: supported where the interval lies within what is claimed,
//! refuted where it lies outside, else undecided.

mod efficiency;
mod lag;
mod remedy;

use serde::Serialize;

use super::{
    Alone, Analysis, Comparison, Measure,
    statistic::{Interval, Mean},
    true_speedup,
};

/// A claim of the report, and what this recording says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// A name that stays the same.
    pub id: &'static str,
    /// Where the report says it.
    pub section: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What this recording says of it.
    pub verdict: Verdict,
    /// Why.
    pub because: String,
    /// The numbers behind it.
    pub numbers: Vec<Number>,
}

/// What a recording says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is so here.
    Supported,
    /// It is not so here.
    Refuted,
    /// This recording can't say.
    Undecided,
}

/// A figure behind a verdict, in base units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Number {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// How sure it is.
    pub interval: Option<Interval>,
    /// From how many runs, or windows.
    pub n: usize,
}

/// Every claim, in the order of the report.
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
    /// In words.
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

/// What is claimed, before it is judged.
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

/// Supported where the whole interval is `within`, refuted where it is all `without`; undecided if there is none.
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

/// An interval in words, by what shows a value.
fn shown(interval: Option<Interval>, show: impl Fn(f64) -> String) -> String {
    interval.map_or("not repeated, so no interval".into(), |interval| {
        format!("{:.0} % interval {} to {}", 100.0 * interval.level, show(interval.low), show(interval.high))
    })
}

/// The mean of a measure of one condition over that of another, with the interval of [`true_speedup`].
fn ratio(analysis: &Analysis, comparison: &Comparison, measure: Measure) -> Option<Number> {
    let values = |name: &str| Some(analysis.condition(name)?.values(measure));
    let (numerator, denominator) = (values(&comparison.condition)?, values(&comparison.baseline)?);
    let found =
        true_speedup(&[Alone { durations: numerator, agents: 1 }], denominator, analysis.settings.level)
            .ok()?;
    Some(Number {
        name: format!("{} of {} over {}", measure.name(), comparison.condition, comparison.baseline),
        value: found.speedup,
        // Of a single run on either side the interval would be only the other's.
        interval: found.interval.filter(|_| numerator.len() > 1 && denominator.len() > 1),
        n: numerator.len() + denominator.len(),
    })
}
