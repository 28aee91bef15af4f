//! Experiments whose truth is known.

mod between;
mod coverage;
mod model;
mod recovery;
mod traps;
mod verdicts;
