//! The sidecar between raw sockets: requests, responses and counts.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod admin;
mod admission;
#[cfg(feature = "tls")]
// Several test programs use this file.
#[path = "../shared/authority.rs"]
mod authority;
mod connection;
mod forwarding;
mod harness;
mod hostile;
mod measurement;
mod shaping;
#[cfg(feature = "traces")]
mod traces;
mod upstream;
