//! The documentation: links work, samples are valid, and commands exist.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]

mod case;
mod commands;
mod dependencies;
mod errors;
mod links;
mod page;
mod panels;
mod prose;
mod samples;
mod site;
mod wrappers;
