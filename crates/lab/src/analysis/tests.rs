//! Experiments whose truth is known.

mod model;
mod recovery;
mod traps;
mod verdicts;
