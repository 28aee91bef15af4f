//! Reports of made-up recordings: what they show, and that JSON is what docs/reference/report-format.md says.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod compare;
mod live;
mod made_up;
mod page;
mod schema;
mod words;
