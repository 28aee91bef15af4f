//! The code that every chunk of every stream passes allocates no memory in the steady state.
#![allow(unsafe_code, reason = "a global allocator that counts can't be written without")]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod admission;
mod counter;
mod meter;
mod scanner;
