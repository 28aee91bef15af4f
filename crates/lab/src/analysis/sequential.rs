//! The rule that stops an experiment when an interval is narrow enough.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Analysis, ConditionSummary, Measure, statistic::Interval};

/// When an experiment stops: when the interval of a measure of every condition is narrow enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Until {
    measure: Measure,
    /// The largest half width of the interval, relative to the mean, or for efficiencies in points.
    half_width: HalfWidth,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum HalfWidth {
    /// In percent of the mean.
    Relative(f64),
    /// In percentage points.
    Points(f64),
}

/// How narrow the intervals were at a look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Precision {
    /// The number of repetitions.
    pub repetitions: u32,
    /// Whether every interval was narrow enough.
    pub reached: bool,
    /// The half width of the widest interval relative to the wanted one. `None`: a condition has no interval.
    pub widest: Option<f64>,
    /// The condition with the widest interval, or the first one that has no interval. `None`: there is no condition.
    pub condition: Option<String>,
}

impl Precision {
    /// Returns a sentence about the last look, if an experiment with this rule ended with it.
    #[must_use]
    pub fn sentence(&self, until: &str) -> String {
        let Precision { repetitions, reached, widest, condition } = self;
        let condition = condition.as_deref().unwrap_or("a condition");
        match widest {
            _ if *reached => format!("{until} in every condition after {repetitions} repetitions"),
            Some(widest) => format!(
                "not reached after {repetitions} repetitions: {until}; the interval of {condition} is {widest:.1} times as \
                 wide"
            ),
            None => {
                format!("not reached after {repetitions} repetitions: {until}; {condition} has no interval")
            }
        }
    }
}

impl Until {
    /// The number of repetitions before the first look.
    pub const FIRST_LOOK: u32 = 5;

    /// The measures that a rule may name. The others need the chunks, which are not in memory during an experiment.
    const MEASURES: [Measure; 5] = [
        Measure::TrueEfficiency,
        Measure::TrueSpeedup,
        Measure::Throughput,
        Measure::Wall,
        Measure::FirstToken,
    ];

    /// Returns the measure whose intervals stop the experiment.
    #[cfg(feature = "experiment")]
    #[must_use]
    pub(crate) fn measure(self) -> Measure {
        self.measure
    }

    /// Looks at the intervals of all conditions. `None`: it is too early.
    #[must_use]
    pub fn look(self, analysis: &Analysis, repetitions: u32) -> Option<Precision> {
        if repetitions < Until::FIRST_LOOK {
            return None;
        }
        // A condition without an interval counts as wider than every other one.
        let ratio = |condition: &ConditionSummary| self.ratio(condition).unwrap_or(f64::INFINITY);
        let widest = analysis.conditions.iter().rev().max_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        let condition = widest.map(|condition| condition.condition.name.clone());
        let widest = widest.and_then(|condition| self.ratio(condition)).filter(|ratio| ratio.is_finite());
        Some(Precision {
            repetitions,
            reached: widest.is_some_and(|widest| widest <= 1.0),
            widest,
            condition,
        })
    }

    /// Returns the half width of a condition's interval relative to the wanted one.
    fn ratio(self, condition: &ConditionSummary) -> Option<f64> {
        let (value, interval): (f64, Interval) = match self.measure {
            Measure::TrueEfficiency => (condition.truth?.efficiency, condition.truth?.efficiency_interval?),
            Measure::TrueSpeedup => (condition.truth?.speedup, condition.truth?.interval?),
            measure => {
                let mean = condition.mean(measure)?;
                (mean.value, mean.interval?)
            }
        };
        let half = 0.5 * (interval.high - interval.low);
        Some(match self.half_width {
            HalfWidth::Relative(percent) => 100.0 * half / (percent * value.abs()),
            HalfWidth::Points(points) => 100.0 * half / points,
        })
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.measure.name();
        match self.half_width {
            HalfWidth::Relative(percent) => write!(f, "{name} ± {percent} %"),
            HalfWidth::Points(points) => write!(f, "{name} ± {points} points"),
        }
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Until, String> {
        let form =
            || "write a measure, ± or +-, and a percentage, as in \"true efficiency ± 3 %\"".to_owned();
        let (name, width) = text.split_once('±').or_else(|| text.split_once("+-")).ok_or_else(form)?;
        let name = name.trim().to_lowercase();
        let measure =
            Until::MEASURES.into_iter().find(|measure| measure.name() == name).ok_or_else(|| {
                let known: Vec<&str> = Until::MEASURES.iter().map(|measure| measure.name()).collect();
                format!("{name:?} is no measure that can stop an experiment; there are {}", known.join(", "))
            })?;
        let width = width.trim();
        let number = |text: &str| {
            let number = text.trim().parse::<f64>().ok().filter(|number| *number > 0.0 && *number < 100.0);
            number.ok_or_else(form)
        };
        let half_width = match (width.strip_suffix('%'), width.strip_suffix("points")) {
            (Some(percent), _) => HalfWidth::Relative(number(percent)?),
            (None, Some(points)) if measure == Measure::TrueEfficiency => HalfWidth::Points(number(points)?),
            _ => return Err(form()),
        };
        Ok(Until { measure, half_width })
    }
}
