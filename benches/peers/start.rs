//! How streams start.

use std::{fmt, time::Duration};

use clap::ValueEnum;

/// How the streams of a measurement start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Start {
    /// All in the same instant, so that their chunks come together too
    #[default]
    AtOnce,
    /// One after another, within a second
    Staggered,
}

impl Start {
    /// The time after which the stream at `place` starts.
    pub(crate) fn delay(self, place: usize, streams: usize) -> Duration {
        match self {
            Start::AtOnce => Duration::ZERO,
            Start::Staggered => Duration::from_secs_f64(place as f64 / streams as f64),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Start::AtOnce => "start at once",
            Start::Staggered => "start staggered",
        })
    }
}
