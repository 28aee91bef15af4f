//! The fate of attacking connections.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::spread::Spread;

/// The fate of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// The peer answered with this status.
    Answered(u16),
    Closed,
    Reset,
    /// The peer did not accept it.
    Refused,
    /// It was open until the end.
    Open,
}

/// The fates of many connections, with their durations in seconds.
#[derive(Debug, Default)]
pub(super) struct Fates(BTreeMap<Fate, Vec<f64>>);

impl Fates {
    pub(super) fn push(&mut self, fate: Fate, after: Duration) {
        self.0.entry(fate).or_default().push(after.as_secs_f64());
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Answered(status) => write!(f, "{status}"),
            Fate::Closed => f.write_str("closed"),
            Fate::Reset => f.write_str("reset"),
            Fate::Refused => f.write_str("refused"),
            Fate::Open => f.write_str("open"),
        }
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (fate, after)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {fate}", after.len())?;
            if *fate != Fate::Open {
                let after = Spread::from(after.clone());
                write!(f, " after {:.1} to {:.1} s", after.quantile(0.0), after.quantile(1.0))?;
            }
        }
        Ok(())
    }
}
