//! The settings, and where each was written.

use std::collections::BTreeMap;

use super::super::{Config, mistake::SettingPlace};
use crate::admission::Key;

/// Keys, and the place of each.
pub(in crate::config) type PlacedKeys = (Vec<Key>, Vec<SettingPlace>);

/// The settings, and the places where they were written.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// The place where a key was last set. A key that is missing here has its default.
    pub(in crate::config) origins: BTreeMap<&'static str, SettingPlace>,
    /// The place of each upstream. Empty for the default upstream.
    pub(in crate::config) upstream_origins: Vec<SettingPlace>,
    /// The place of each `[[key]]`.
    pub(in crate::config) key_origins: Vec<SettingPlace>,
    /// How many of the keys are of the configuration itself. They come first.
    pub(in crate::config) own_keys: usize,
    /// How many of the keys are of `access.keys_file`. They come before those of the store.
    pub(in crate::config) file_keys: usize,
    /// The keys of the store are known. They come last.
    pub(in crate::config) has_stored_keys: bool,
    /// Warnings about ignored values, for the log.
    pub warnings: Vec<String>,
}
