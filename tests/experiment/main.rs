//! Experiments from outside: the real binary, real sockets, a simulated Ollama.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]

mod columns;
mod compare;
mod conduct;
mod energy;
mod full;
mod interrupted;
mod not_ready;
mod ollama;
mod open_loop;
mod python;
mod recovery;
mod tokenizers;
mod until;
// Several test programs use this file.
#[path = "../shared/wait.rs"]
mod wait;
