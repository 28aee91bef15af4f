//! Several sidecars that share limits in a real Redis, and what they do when it fails.
//!
//! The tests need `redis-server`, which tests/real/install.sh unpacks, so that they are ignored by default.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod fault;
mod figures;
mod fleet;
mod log;
mod redis;
mod stream;
mod truth;
