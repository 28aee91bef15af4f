//! Measures streams of Ollama around any [`http_body::Body`], as Prometheus metrics.
//!
//! Register a [`meter::Meter`] once, start a [`meter::Measurement`] for each request, and read the wrapped body
//! instead of the original one. The measurement travels with the body: whether the body ends, fails or is dropped,
//! one outcome is recorded.
//!
//! ```
//! use http::StatusCode;
//! use prometheus::Registry;
//! use streamgauge_meter::{
//!     meter::{Config, Facts, Meter, Outcome},
//!     metric::Scrape,
//! };
//!
//! # fn main() -> prometheus::Result<()> {
//! let registry = Registry::new();
//! let meter = Meter::register(&registry, &Config::default(), &["ollama"])?;
//!
//! let mut measurement = meter.start(Facts::new("POST", "/api/chat"));
//! measurement.model_named("gemma3:270m");
//! measurement.upstream_chosen("ollama");
//! measurement.responded(StatusCode::OK);
//! measurement.finish(Outcome::Complete);
//!
//! let scrape = Scrape::take(&registry);
//! assert_eq!(scrape.find("requests_total").sum(|series| series.label("outcome") == "complete"), 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | [`meter`] | The measurement of a request, and what runs now. Begin at [`meter::Meter`] |
//! | [`metric`] | [`metric::Scrape`], which reads a registry, and the parts that metrics are made of |
//! | [`protocol`] | Ollama's routes, requests and records. No I/O |
//! | `shaping` | Wrappers that change the pace and the pieces of a body |
//!
//! # Features
//!
//! Without its features the package contains no runtime.
//!
//! | feature | adds |
//! |---|---|
//! | `coding` | Reading of compressed bodies (gzip, deflate, br, zstd). It needs a C compiler, for zstd |
//! | `shaping` | The module `shaping`, which needs tokio's timers and governor |

pub mod meter;
pub mod metric;
pub mod protocol;
#[cfg(feature = "shaping")]
pub mod shaping;

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
