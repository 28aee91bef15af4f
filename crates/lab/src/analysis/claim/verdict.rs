//! A claim and its verdict.

use serde::Serialize;

use super::super::{
    Comparison,
    statistic::{Interval, Mean},
};

/// A claim of TR117, and the verdict of this recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Claim {
    /// A stable identifier.
    pub(crate) id: &'static str,
    /// The section of TR117.
    pub(crate) section: &'static str,
    /// The claim.
    pub(crate) says: &'static str,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// The reason.
    pub(crate) because: String,
    /// The numbers behind it.
    pub(crate) numbers: Vec<Number>,
}

/// The verdict of a recording on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The claim holds here.
    Supported,
    /// The claim does not hold here.
    Refuted,
    /// This recording cannot decide it.
    Undecided,
}

/// A figure behind a verdict, in base units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Number {
    /// The name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: f64,
    /// The interval.
    pub(crate) interval: Option<Interval>,
    /// The number of runs or windows.
    pub(crate) n: usize,
}

#[cfg(test)]
impl Claim {
    /// Returns the claim with its verdict and the reason as text.
    #[must_use]
    pub(crate) fn sentence(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Supported => "supported",
            Verdict::Refuted => "refuted",
            Verdict::Undecided => "undecided",
        };
        format!("“{}” ({}): {verdict}. {}", self.says, self.section, self.because)
    }
}

/// A claim before its verdict.
pub(super) struct Said {
    pub(super) id: &'static str,
    pub(super) section: &'static str,
    pub(super) says: &'static str,
}

impl Said {
    pub(super) fn judged(self, verdict: Verdict, because: String, numbers: Vec<Number>) -> Claim {
        let Said { id, section, says } = self;
        Claim { id, section, says, verdict, because, numbers }
    }

    pub(super) fn unmeasured(self, because: &str) -> Claim {
        self.judged(Verdict::Undecided, because.into(), Vec::new())
    }
}

impl Number {
    pub(super) fn of_mean(name: impl Into<String>, mean: &Mean) -> Number {
        Number { name: name.into(), value: mean.value, interval: mean.interval, n: mean.n }
    }

    pub(super) fn of_comparison(comparison: &Comparison) -> Number {
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
pub(super) fn judge(
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

pub(super) fn apart(interval: Interval, low: f64, high: f64) -> bool {
    interval.high < low || high < interval.low
}

/// Formats an interval. `show` formats a value. If both ends have the same unit, only the second one states it.
pub(super) fn shown(interval: Option<Interval>, show: impl Fn(f64) -> String) -> String {
    interval.map_or("not repeated, so no interval".into(), |interval| {
        let (low, high) = (show(interval.low), show(interval.high));
        let low = match (low.split_once(' '), high.split_once(' ')) {
            (Some((number, unit)), Some((_, same))) if unit == same => number,
            _ => &low,
        };
        format!("{:.0} % interval {low} to {high}", 100.0 * interval.level)
    })
}
