//! What each chunk of every stream passes through allocates nothing in the steady state.
#![allow(unsafe_code, reason = "a global allocator that counts can't be written without")]
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "allocations/admission.rs"]
mod admission;
#[path = "allocations/counter.rs"]
mod counter;
#[path = "allocations/meter.rs"]
mod meter;
#[path = "allocations/scanner.rs"]
mod scanner;
