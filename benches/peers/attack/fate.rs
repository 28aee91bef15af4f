//! What became of connections.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::spread::Spread;

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It was told why, by this status.
    Answered(u16),
    Closed,
    Reset,
    /// Nobody took it.
    Refused,
    /// It was there to the end.
    Open,
}

/// Of many; how long each took, seconds.
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
