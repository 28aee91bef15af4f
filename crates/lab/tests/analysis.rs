//! The statistics against scipy, statsmodels and numpy, and against experiments whose truth is known.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]

#[path = "analysis/model.rs"]
mod model;
#[path = "analysis/recovery.rs"]
mod recovery;
#[path = "analysis/reference.rs"]
mod reference;
#[path = "analysis/verdicts.rs"]
mod verdicts;
