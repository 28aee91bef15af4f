//! The changes that shaping makes to a stream, and the parts that it leaves unchanged.

mod adaptive;
mod coalescing;
mod pace;
mod usage;
mod wrappers;
