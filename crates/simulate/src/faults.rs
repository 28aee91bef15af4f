//! Failures that the simulator causes on purpose, and their probabilities.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::seed::Seed;

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A record comes in two chunks, a millisecond apart.
    Split,
    /// A record waits, and comes in one chunk with the next.
    Batch,
    /// A pause in the middle of the stream.
    Stall,
    /// The connection is reset in the middle of the stream.
    Reset,
    /// The stream ends cleanly in the middle, without its final record.
    Truncate,
    /// An error in the middle of the stream: a last line `{"error":…}`, or on `/v1` only the end. A response that is
    /// not a stream becomes a 500.
    Error,
    /// 503, because the queue is full.
    Refuse,
    /// The head of the response comes late.
    SlowHead,
    /// A line that is not JSON comes before a record.
    Garbage,
}

/// The probability of each fault: per stream, or per record for `split`, `batch` and `garbage`.
///
/// The text form is `split=0.2,stall=0.05:2s,error=0.02`. Default: no faults. The seed and the order of the requests
/// decide which streams have a fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults([Option<Rule>; Fault::COUNT]);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    probability: f64,
    pause: Duration,
}

/// A fault specification that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "fault `{item}`: {problem} (write NAME=PROBABILITY, of {}; stall and slow-head take a duration, as in stall=0.05:2s)",
    names()
)]
pub struct UnknownFault {
    item: String,
    problem: &'static str,
}

/// The faults of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) refuse: bool,
    pub(super) slow_head: Option<Duration>,
    pub(super) stall: Option<Duration>,
    /// The fault that ends the stream early: reset, truncate or error.
    pub(super) cut: Option<Fault>,
    pub(super) split: f64,
    pub(super) batch: f64,
    pub(super) garbage: f64,
}

impl Fault {
    pub(super) const COUNT: usize = Self::ALL.len();

    /// Every fault.
    pub const ALL: [Self; 9] = [
        Self::Split,
        Self::Batch,
        Self::Stall,
        Self::Reset,
        Self::Truncate,
        Self::Error,
        Self::Refuse,
        Self::SlowHead,
        Self::Garbage,
    ];

    /// Its name in a specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Batch => "batch",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::Truncate => "truncate",
            Self::Error => "error",
            Self::Refuse => "refuse",
            Self::SlowHead => "slow-head",
            Self::Garbage => "garbage",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Returns the default duration, or `None` for a fault that has no duration.
    const fn pause(self) -> Option<Duration> {
        match self {
            Self::Stall => Some(Duration::from_secs(2)),
            Self::SlowHead => Some(Duration::from_millis(500)),
            _ => None,
        }
    }
}

impl Faults {
    /// Reads the faults of one request, such as `reset` or `stall:2s,split`. Each of them is certain.
    pub(super) fn certain(spec: &str) -> Result<Self, UnknownFault> {
        Self::parse(spec, false)
    }

    fn parse(spec: &str, with_probability: bool) -> Result<Self, UnknownFault> {
        let mut faults = Self::default();
        for item in spec.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (fault, rule) = rule(item, with_probability)
                .map_err(|problem| UnknownFault { item: item.to_owned(), problem })?;
            faults.0[fault.index()] = Some(rule);
        }
        Ok(faults)
    }

    fn probability(&self, fault: Fault) -> f64 {
        self.0[fault.index()].map_or(0.0, |rule| rule.probability)
    }

    /// Draws the faults of one stream.
    pub(super) fn draw(&self, seed: Seed) -> Fate {
        let strikes = |fault: Fault| seed.happens(fault.index() as u64, self.probability(fault));
        let pause = |fault: Fault| self.0[fault.index()].filter(|_| strikes(fault)).map(|rule| rule.pause);
        Fate {
            refuse: strikes(Fault::Refuse),
            slow_head: pause(Fault::SlowHead),
            stall: pause(Fault::Stall),
            cut: [Fault::Reset, Fault::Truncate, Fault::Error].into_iter().find(|fault| strikes(*fault)),
            split: self.probability(Fault::Split),
            batch: self.probability(Fault::Batch),
            garbage: self.probability(Fault::Garbage),
        }
    }
}

impl FromStr for Faults {
    type Err = UnknownFault;

    fn from_str(spec: &str) -> Result<Self, Self::Err> {
        Self::parse(spec, true)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (fault, rule) in Fault::ALL.iter().zip(&self.0) {
            let Some(rule) = rule else { continue };
            write!(f, "{comma}{}={}", fault.name(), rule.probability)?;
            if fault.pause().is_some() {
                write!(f, ":{:?}", rule.pause)?;
            }
            comma = ",";
        }
        Ok(())
    }
}

fn names() -> String {
    Fault::ALL.map(Fault::name).join(", ")
}

fn rule(item: &str, with_probability: bool) -> Result<(Fault, Rule), &'static str> {
    let (item, pause) = match item.split_once(':') {
        Some((item, pause)) => (item, Some(pause)),
        None => (item, None),
    };
    let (name, probability) = match item.split_once('=') {
        Some((name, value)) => {
            let value: f64 = value.trim().parse().map_err(|_| "its probability is not a number")?;
            (name.trim(), value)
        }
        None if with_probability => (item.trim(), f64::NAN),
        None => (item.trim(), 1.0),
    };
    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name).ok_or("no fault has this name")?;
    if probability.is_nan() {
        return Err("it has no probability");
    }
    if !(0.0..=1.0).contains(&probability) {
        return Err("its probability is not between 0 and 1");
    }
    let pause = match (fault.pause(), pause) {
        (None, Some(_)) => return Err("it takes no duration"),
        (default, None) => default.unwrap_or_default(),
        (Some(_), Some(text)) => duration(text).ok_or("its duration is not like 2s, 500ms or 1m")?,
    };
    Ok((fault, Rule { probability, pause }))
}

fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?;
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::{Duration, Fault, Faults, Seed};

    #[test]
    fn fault_specification_round_trips() {
        let spec = "split=0.2,batch=0.1,stall=0.05:2s,reset=0.01,truncate=0.01,error=0.02,refuse=0.05,\
                    slow-head=0.1:500ms,garbage=0.01";
        let faults: Faults = spec.parse().unwrap();
        assert_eq!(faults.to_string(), spec);
        assert_eq!("".parse::<Faults>().unwrap(), Faults::default());
        assert_eq!(
            "stall=1".parse::<Faults>().unwrap().draw(Seed::new(1)).stall,
            Some(Duration::from_secs(2))
        );
    }

    #[test]
    fn fault_specification_error_names_what_is_allowed() {
        for (spec, problem) in [
            ("split=0.1,explode=0.2", "`explode=0.2`: no fault has this name"),
            ("split", "`split`: it has no probability"),
            ("split=2", "`split=2`: its probability is not between 0 and 1"),
            ("split=NaN", "`split=NaN`: it has no probability"),
            ("split=x", "`split=x`: its probability is not a number"),
            ("split=0.1:2s", "`split=0.1:2s`: it takes no duration"),
            ("stall=0.1:soon", "`stall=0.1:soon`: its duration is not like"),
        ] {
            let message = spec.parse::<Faults>().unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
            assert!(message.contains("slow-head, garbage"), "{message}");
        }
    }

    #[test]
    fn fault_named_by_request_needs_no_probability() {
        let fate = Faults::certain("reset, stall:20ms").unwrap().draw(Seed::new(9));
        assert_eq!((fate.cut, fate.stall), (Some(Fault::Reset), Some(Duration::from_millis(20))));
        assert!(Faults::certain("nothing").is_err());
    }
}
