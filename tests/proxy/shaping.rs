//! What shaping changes in a stream, and what it leaves unchanged.

mod adaptive;
mod coalescing;
mod pace;
mod usage;
mod wrappers;
