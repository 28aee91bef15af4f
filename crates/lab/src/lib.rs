//! Experiments with Ollama, and what their recordings say.
//!
//! [`analysis`] turns a recording into answers and needs no runtime. With the feature `experiment`, which is on by default,
//! `experiment` carries out a plan and writes a recording, and `report` shows an analysis to people and to programs.
//!
//! ```
//! use streamgauge_lab::analysis::statistic::mean;
//!
//! let mean = mean(&[1.0, 2.0, 6.0], 0.95).unwrap();
//! assert_eq!(mean.value, 3.0);
//! assert!(mean.interval.unwrap().contains(4.0));
//! ```

pub mod analysis;
#[cfg(feature = "experiment")]
pub mod experiment;
#[cfg(feature = "experiment")]
pub mod report;

/// The README's example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
