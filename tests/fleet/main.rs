//! Several sidecars that share limits in a real Redis, and what they do when it fails.
//!
//! The tests need `redis-server`, which tests/real/install.sh unpacks, so that they are ignored by default.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may")]

// Several test programs use this file.
#[path = "../shared/authority.rs"]
#[allow(dead_code, reason = "not every program uses all of it")]
mod authority;
mod cluster;
mod fault;
mod figures;
mod fleet;
mod log;
mod message;
mod overshoot;
#[cfg(target_os = "linux")]
mod partition;
#[allow(dead_code, reason = "not every program uses all of it")]
mod redis;
mod server;
mod stream;
mod truth;
// Several test programs use this file.
#[path = "../shared/wait.rs"]
mod wait;
