//! Experiments whose truth is known.

mod between;
mod coverage;
mod model;
mod recovery;
mod stopping;
mod traps;
mod verdicts;
