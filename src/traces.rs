//! Traces: one span for each sampled request, exported by OTLP over HTTP.
//!
//! Whether a request is sampled is decided when it arrives. Its span is made from its [`Ending`](crate::meter::Ending),
//! in a task that never runs on a worker of the proxy, so that a chunk costs nothing and a request that is not sampled
//! next to nothing. The queue to that task is bounded, and what does not fit is counted. No span has content or a key.

#[cfg(not(feature = "traces"))]
mod absent;
#[cfg(feature = "traces")]
mod attribute;
#[cfg(feature = "traces")]
mod config;
#[cfg(feature = "traces")]
mod delivery;
#[cfg(feature = "traces")]
mod exporter;
#[cfg(feature = "traces")]
mod families;
#[cfg(feature = "traces")]
mod finished;
#[cfg(feature = "traces")]
mod health;
#[cfg(feature = "traces")]
mod recorder;
#[cfg(feature = "traces")]
mod sampler;
#[cfg(feature = "traces")]
mod span;

#[cfg(not(feature = "traces"))]
pub use absent::{Config, NoExporter};
#[cfg(not(feature = "traces"))]
pub use absent::{Sampled, Traces};
#[cfg(feature = "traces")]
pub use config::Config;
#[cfg(feature = "traces")]
pub use delivery::NoExporter;
#[cfg(feature = "traces")]
pub use recorder::Traces;
#[cfg(feature = "traces")]
pub use sampler::Sampled;
