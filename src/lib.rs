//! An observability sidecar for Ollama.
//!
//! streamgauge stands between clients and Ollama, forwards every stream byte for byte, and measures
//! every chunk of it. The same crate embeds in a Rust program: the whole agent (feature `agent`), or
//! only its [`meter`] around any [`http_body::Body`].

#[cfg(feature = "agent")]
pub mod admin;
#[cfg(feature = "agent")]
pub mod admission;
#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "analysis")]
pub mod analysis;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "agent")]
pub mod collector;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "agent")]
mod connection;
#[cfg(feature = "experiment")]
pub mod experiment;
pub mod meter;
pub mod metric;
pub mod protocol;
#[cfg(feature = "agent")]
pub mod proxy;
#[cfg(feature = "experiment")]
pub mod report;
#[cfg(feature = "shaping")]
pub mod shaping;
#[cfg(feature = "simulate")]
pub mod simulate;
#[cfg(feature = "agent")]
pub mod tls;
#[cfg(feature = "agent")]
pub mod upstream;
