//! What each chunk of every stream passes through allocates nothing in the steady state.
#![allow(unsafe_code, reason = "a global allocator that counts can't be written without")]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod admission;
mod counter;
mod meter;
mod scanner;
