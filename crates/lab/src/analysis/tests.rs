//! Experiments whose truth is known.

mod between;
mod model;
mod recovery;
mod traps;
mod verdicts;
