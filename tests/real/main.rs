//! The sidecar between real clients and a real Ollama, scraped by a real Prometheus.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]
#![expect(
    clippy::print_stdout,
    reason = "figures that a test measured, for those who run it with --nocapture"
)]

mod answer;
mod auto;
mod cancel;
mod clients;
mod direct;
mod early;
mod experiment;
mod generation;
mod guarded;
mod jaeger;
mod kept_alive;
mod limit;
mod management;
mod models;
mod ollama;
// Several test programs use this file.
#[path = "../shared/process.rs"]
mod process;
mod prometheus;
mod queue;
mod refused;
mod replay;
mod sidecar;
mod simulator;
mod since_0_30;
mod tool;
mod tool_calls;
mod traces;
mod truncation;
mod two;
mod version;
mod wire;
