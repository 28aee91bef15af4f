//! An observability sidecar for Ollama.
//!
//! streamgauge stands between clients and Ollama, forwards every stream byte for byte, and measures
//! every chunk of it. The same crate embeds in a Rust program: see [`sidecar`]. The meter alone, around any
//! [`http_body::Body`], is the package [`streamgauge_meter`]; this one has its modules too.

pub mod admin;
pub mod admission;
/// Public for the program `streamgauge`, its tests and its fuzz targets.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
/// Public for the program `streamgauge`, its tests and its fuzz targets.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod config;
mod connection;
pub mod proxy;
pub mod sidecar;
pub mod tls;
pub mod upstream;

pub use streamgauge_collector as collector;
#[cfg(feature = "cli")]
pub use streamgauge_lab::{analysis, experiment, report};
pub use streamgauge_meter::{meter, metric, protocol, shaping};
#[cfg(feature = "cli")]
pub use streamgauge_simulate as simulate;
