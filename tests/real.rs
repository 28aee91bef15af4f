//! The sidecar between real clients and a real Ollama, read by a real Prometheus.
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

#[path = "real/answer.rs"]
mod answer;
#[path = "real/cancel.rs"]
mod cancel;
#[path = "real/clients.rs"]
mod clients;
#[path = "real/direct.rs"]
mod direct;
#[path = "real/early.rs"]
mod early;
#[path = "real/experiment.rs"]
mod experiment;
#[path = "real/generation.rs"]
mod generation;
#[path = "real/guarded.rs"]
mod guarded;
#[path = "real/limit.rs"]
mod limit;
#[path = "real/management.rs"]
mod management;
#[path = "real/models.rs"]
mod models;
#[path = "real/ollama.rs"]
mod ollama;
#[path = "real/process.rs"]
mod process;
#[path = "real/prometheus.rs"]
mod prometheus;
#[path = "real/queue.rs"]
mod queue;
#[path = "real/refused.rs"]
mod refused;
#[path = "real/sidecar.rs"]
mod sidecar;
#[path = "real/simulator.rs"]
mod simulator;
#[path = "real/since_0_30.rs"]
mod since_0_30;
#[path = "real/tool.rs"]
mod tool;
#[path = "real/tool_calls.rs"]
mod tool_calls;
#[path = "real/two.rs"]
mod two;
#[path = "real/version.rs"]
mod version;
#[path = "real/wire.rs"]
mod wire;
