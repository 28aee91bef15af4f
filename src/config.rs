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
pub(crate) use resolve::{no_stored_keys, renew_keys, renew_stored_keys};
pub use settings::{
    Config, Log, LogFormat, RecordingSettings, RequestSettings, SharedSettings, TracesSettings,
};
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

/// Reads all of it again. The keys of the store stay as they are.
///
/// # Errors
/// Every mistake, in the order file, environment, flags.
pub(crate) fn load_again(flags: &Flags, present: &Resolved) -> Result<Resolved, Mistakes> {
    let (sources, unread) = source::Sources::read(flags);
    resolve::resolve(&source::Sources { stored_keys: present.stored_keys(), ..sources }, unread)
}

/// The same, without the keys of `access.keys_file` and of the store. A health check must not fail because a sidecar
/// runs with the previous keys.
pub(crate) fn load_without_further_keys(flags: &Flags) -> Result<Resolved, Mistakes> {
    let (sources, unread) = source::Sources::read(flags);
    resolve::resolve(&source::Sources { without_further_keys: true, ..sources }, unread)
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
