//! Experiments with Ollama, and the analysis of their recordings.
//!
//! [`analysis`] analyses a recording and needs no runtime. With the feature `experiment`, which is on by default,
//! `experiment` executes a plan and writes a recording, and `report` formats an analysis for people and for programs.
//!
//! ```
//! use streamgauge_lab::analysis::{Recording, Settings, analyse};
//!
//! let analysis = analyse(&Recording::default(), &Settings::default());
//! assert!(analysis.conditions.is_empty());
//! ```

pub mod analysis;
#[cfg(feature = "experiment")]
pub mod experiment;
#[cfg(feature = "experiment")]
pub mod report;

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
