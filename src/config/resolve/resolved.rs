//! The settings, and where each was written.

use std::collections::BTreeMap;

use super::super::{Config, mistake::SettingPlace};

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
    /// How many of the keys are of the configuration itself. They come before those of `access.keys_file`.
    pub(in crate::config) own_keys: usize,
    /// Warnings about ignored values, for the log.
    pub warnings: Vec<String>,
}
