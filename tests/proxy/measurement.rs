//! The metrics of each request.

mod callers;
mod dialects;
mod finish;
mod loads;
mod names;
mod phases;
mod tool_calls;
mod truncation;
