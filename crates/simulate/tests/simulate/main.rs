//! Sends requests to the simulated Ollama as clients do.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]

mod cloud;
mod dialects;
mod faults;
mod framing;
mod harness;
mod library;
mod prompt;
mod routes;
mod slots;
mod tools;
mod versions;
