//! The configuration: flags override the environment, which overrides the file, which overrides the defaults.
//!
//! [`load`] reads and validates all of it and has no other effect. It reports every mistake at once, each with its
//! place. No other module reads the environment.

mod certificate;
mod choice;
mod clash;
mod difference;
mod entry;
mod field;
mod flags;
mod inline;
mod key;
mod mistake;
mod ollama_host;
mod quantity;
mod resolve;
mod setting;
mod settings;
mod shared;
mod shown;
mod source;
mod suggest;
mod template;
#[cfg(test)]
mod tests;
mod traces;

use std::{borrow::Cow, net::SocketAddr, time::Duration};

pub(crate) use difference::fixed;
pub use flags::Flags;
pub use mistake::{Mistake, Mistakes, SettingPlace};
pub use resolve::Resolved;
pub use settings::{Config, Log, LogFormat, RequestSettings, SharedSettings, TracesSettings};
pub use source::no_color;
pub(crate) use source::variables;
pub(crate) use template::template;

/// Reads the file and the environment, applies the flags, and validates the result.
///
/// # Errors
/// Every mistake, in the order file, environment, flags.
pub fn load(flags: &Flags) -> Result<Resolved, Mistakes> {
    let (sources, unread) = source::Sources::read(flags);
    resolve::resolve(&sources, unread)
}

/// The same, without the keys of `access.keys_file`. A health check must not fail because a sidecar runs with the
/// previous keys.
pub(crate) fn load_without_keys_file(flags: &Flags) -> Result<Resolved, Mistakes> {
    let (sources, unread) = source::Sources::read(flags);
    resolve::resolve(&source::Sources { without_keys_file: true, ..sources }, unread)
}

/// The same settings with the present keys of `access.keys_file`.
///
/// # Errors
/// Every mistake in that file.
pub(crate) fn renew_keys(resolved: &Resolved) -> Result<Resolved, Mistakes> {
    resolve::renew_keys(resolved)
}

/// The log settings from the flags alone, for subcommands that read no configuration.
#[must_use]
pub(crate) fn log(flags: &Flags) -> Log {
    let flags = Flags { file: None, ..flags.clone() };
    let sources = source::Sources { flags, ..source::Sources::default() };
    resolve::resolve(&sources, Vec::new()).map(|resolved| resolved.config.log).unwrap_or_default()
}

/// Parses an address of a flag as in the file.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    field::address(text).map_err(|problem| problem.advice)
}

/// Adds the scheme http to `HOST:PORT`, as Ollama does. Other texts stay unchanged.
pub(crate) fn with_scheme(text: &str) -> Cow<'_, str> {
    entry::with_scheme(text)
}

/// Parses a duration of a flag as in the file.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    quantity::parse_duration(text).map_err(|problem| format!("{}: {}", problem.what, problem.advice))
}
