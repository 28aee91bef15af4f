//! The definition of a setting.

use std::{ops::RangeInclusive, time::Duration};

use crate::config::{field::Field, source::VARIABLE_PREFIX};

/// One setting.
#[derive(Debug)]
pub(in crate::config) struct Setting {
    /// `section.leaf`, as in the file.
    pub(in crate::config) key: &'static str,
    /// The flag that sets it.
    pub(in crate::config) flag: Option<&'static str>,
    /// The kind, the range, and the field of the configuration.
    pub(in crate::config) field: Field,
    /// The meaning, for the documentation.
    pub(in crate::config) doc: &'static str,
}

impl Setting {
    pub(in crate::config) fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    pub(in crate::config) fn leaf(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, leaf)| leaf)
    }

    /// The environment variable that sets it.
    pub(in crate::config) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.to_ascii_uppercase().replace('.', "__"))
    }
}

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const INSTANT: Duration = Duration::from_millis(1);
pub(super) const TIMEOUT: RangeInclusive<Duration> = INSTANT..=DAY;
pub(super) const TIMEOUT_OR_NONE: RangeInclusive<Duration> = Duration::ZERO..=DAY;

pub(super) const fn setting(key: &'static str, field: Field, doc: &'static str) -> Setting {
    Setting { key, flag: None, field, doc }
}

pub(super) const fn flagged(
    key: &'static str,
    flag: &'static str,
    field: Field,
    doc: &'static str,
) -> Setting {
    Setting { key, flag: Some(flag), field, doc }
}
