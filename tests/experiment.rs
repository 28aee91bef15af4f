//! Experiments from outside: the real binary, real sockets, a simulated Ollama.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]

#[path = "experiment/columns.rs"]
mod columns;
#[path = "experiment/conduct.rs"]
mod conduct;
#[path = "experiment/full.rs"]
mod full;
#[path = "experiment/interrupted.rs"]
mod interrupted;
#[path = "experiment/not_ready.rs"]
mod not_ready;
#[path = "experiment/ollama.rs"]
mod ollama;
#[path = "experiment/python.rs"]
mod python;
#[path = "experiment/recovery.rs"]
mod recovery;
#[path = "experiment/tokenizers.rs"]
mod tokenizers;
