//! Reports of made-up recordings: what they show, and that JSON is what docs/reference/report-format.md says.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "report/made_up.rs"]
mod made_up;
#[path = "report/page.rs"]
mod page;
#[path = "report/schema.rs"]
mod schema;
#[path = "report/words.rs"]
mod words;
