//! The statistics against scipy, statsmodels and numpy, and against experiments whose truth is known.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]

mod model;
mod recovery;
mod reference;
mod traps;
mod verdicts;
