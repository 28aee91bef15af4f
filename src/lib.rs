//! An observability sidecar for Ollama.
//!
//! streamgauge runs between clients and Ollama, forwards every stream byte for byte, and measures every chunk. This
//! package is the program `streamgauge`, and the same sidecar as a library.
//!
//! # Begin
//!
//! A program that embeds the sidecar turns the program's features off: `streamgauge = { version = "0.1",
//! default-features = false }`. [`sidecar::Sidecar::builder`] has an example. If you need only the measurement of your
//! own HTTP client's responses, use the package [`streamgauge_meter`], which brings no runtime.
//!
//! ```
//! use streamgauge::sidecar::{self, Sidecar};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), sidecar::BindError> {
//! let mut config = sidecar::Config::default();
//! config.proxy.listen.set_port(0);
//! config.admin.listen.set_port(0);
//! let bound = Sidecar::builder().config(config).bind().await?;
//! assert_ne!(bound.proxy_addr(), bound.admin_addr());
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | [`sidecar`] | The builder, the settings of all stages, and the reload |
//! | [`proxy`], [`admin`], [`admission`], [`recording`], [`request_log`], [`store`], [`traces`], [`upstream`], [`tls`] | The settings of each stage. The stages are private |
//! | [`meter`], [`metric`], [`protocol`], [`shaping`] | The package [`streamgauge_meter`] |
//! | [`collector`] | The package [`streamgauge_collector`] |
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `cli`, the default | The program, with `coding`, `gpu`, `shared`, `tls`, `traces`, the simulator and the experiments |
//! | `coding` | Reading of compressed bodies. It needs a C compiler, for zstd |
//! | `gpu` | NVIDIA's GPUs |
//! | `shared` | Limits that several sidecars share in a Redis or a Valkey |
//! | `tls` | TLS for both listeners and for upstreams |
//! | `traces` | Traces of requests, exported by OTLP |
//! | `tokenizers` | The tokenizer benchmark in Rust, with `cli` |

pub mod admin;
pub mod admission;
// Public for the program `streamgauge`, its tests and its fuzz targets.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
// Public for the program `streamgauge`, its tests and its fuzz targets.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod config;
mod connection;
pub mod proxy;
pub mod recording;
pub mod request_log;
pub mod scheduler;
pub mod sidecar;
pub mod store;
pub mod tls;
pub mod traces;
pub mod upstream;

pub use streamgauge_collector as collector;
#[cfg(feature = "cli")]
pub use streamgauge_lab::{analysis, experiment, report};
pub use streamgauge_meter::{meter, metric, protocol, shaping};
#[cfg(feature = "cli")]
pub use streamgauge_simulate as simulate;

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
