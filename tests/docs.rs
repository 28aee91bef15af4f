//! The documentation: links lead somewhere, samples are right, commands are commands.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/dependencies.rs"]
mod dependencies;
#[path = "docs/errors.rs"]
mod errors;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/panels.rs"]
mod panels;
#[path = "docs/prose.rs"]
mod prose;
#[path = "docs/samples.rs"]
mod samples;
#[path = "docs/site.rs"]
mod site;
