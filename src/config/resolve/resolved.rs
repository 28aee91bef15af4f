//! The settings, and where each was written.

use std::collections::BTreeMap;

use super::super::{Config, mistake::SettingPlace};

/// The settings, and where each was written.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// Where a key was last set; a key that is not here has its default.
    pub(in crate::config) origins: BTreeMap<&'static str, SettingPlace>,
    /// Where each upstream was written; empty if none was.
    pub(in crate::config) upstream_origins: Vec<SettingPlace>,
    /// Where each key was written.
    pub(in crate::config) key_origins: Vec<SettingPlace>,
    /// Values that were ignored, each with the reason, for the log.
    pub warnings: Vec<String>,
}
