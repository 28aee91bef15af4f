//! The simulated Ollama, spoken to as clients speak to it.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]

#[path = "simulate/cloud.rs"]
mod cloud;
#[path = "simulate/dialects.rs"]
mod dialects;
#[path = "simulate/faults.rs"]
mod faults;
#[path = "simulate/framing.rs"]
mod framing;
#[path = "simulate/harness.rs"]
mod harness;
#[path = "simulate/library.rs"]
mod library;
#[path = "simulate/prompt.rs"]
mod prompt;
#[path = "simulate/routes.rs"]
mod routes;
#[path = "simulate/slots.rs"]
mod slots;
#[path = "simulate/tools.rs"]
mod tools;
#[path = "simulate/versions.rs"]
mod versions;
