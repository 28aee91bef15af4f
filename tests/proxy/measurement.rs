//! The metrics of each request.

mod dialects;
mod finish;
mod loads;
mod names;
mod phases;
mod tool_calls;
mod truncation;
