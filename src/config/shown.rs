//! The resolved settings as TOML that can be read again.

use std::fmt::Write;

use super::{
    entry::ENTRY_KEYS,
    inline,
    mistake::SettingPlace,
    resolve::Resolved,
    setting::{self, Setting},
};
use crate::admission::Key;

impl Resolved {
    /// Every setting. A comment says where it was written, if it was.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut toml = String::new();
        for section in setting::sections() {
            match section {
                "upstreams" => self.write_upstreams(&mut toml),
                "shaping" => self.write_keys(&mut toml),
                _ => {}
            }
            let blank = if toml.is_empty() { "" } else { "\n" };
            push(&mut toml, format_args!("{blank}[{section}]"), None);
            for setting in setting::leaves(section) {
                self.write_setting(&mut toml, setting);
            }
        }
        toml
    }

    fn write_setting(&self, toml: &mut String, setting: &Setting) {
        match setting.field.show(&self.config) {
            Some(value) => {
                push(toml, format_args!("{} = {value}", setting.leaf()), self.origins.get(setting.key));
            }
            None => push(toml, format_args!("# {} is unset", setting.leaf()), None),
        }
    }

    /// The digest of a key is not shown. The keys of `access.keys_file` and of the store are comments, since the text names
    /// their place.
    fn write_keys(&self, toml: &mut String) {
        let (own, further) = self.config.sidecar.admission.keys.split_at(self.own_keys);
        Self::write_some_keys(toml, own, &self.key_origins);
        let mut commented = String::new();
        Self::write_some_keys(&mut commented, further, &self.key_origins[self.own_keys..]);
        for line in commented.lines() {
            let mark = if line.is_empty() { "" } else { "# " };
            push(toml, format_args!("{mark}{line}"), None);
        }
    }

    fn write_some_keys(toml: &mut String, keys: &[Key], origins: &[SettingPlace]) {
        for (position, key) in keys.iter().enumerate() {
            push(toml, format_args!("\n[[key]]"), origins.get(position));
            push(toml, format_args!("name = \"{}\"\nsha256 = \"***\"", key.name), None);
            for (leaf, value) in inline::show_limits(&key.limits) {
                push(toml, format_args!("{leaf} = {value}"), None);
            }
            if let Some(routes) = inline::show_routes(&key.routes) {
                push(toml, format_args!("routes = {routes}"), None);
            }
            if let Some(models) = &key.models {
                push(toml, format_args!("models = {}", inline::show_models(models)), None);
            }
            if let Some(pace) = key.pace {
                push(toml, format_args!("pace = {pace}"), None);
            }
            if let Some(policy) = key.on_failure {
                push(toml, format_args!("on_failure = \"{}\"", policy.label()), None);
            }
        }
    }

    fn write_upstreams(&self, toml: &mut String) {
        for (position, upstream) in self.config.sidecar.upstream.upstreams.iter().enumerate() {
            push(toml, format_args!("\n[[upstream]]"), self.upstream_origins.get(position));
            for key in ENTRY_KEYS {
                if let Some(value) = (key.show)(upstream) {
                    push(toml, format_args!("{} = {value}", key.leaf), None);
                }
            }
        }
    }
}

fn push(toml: &mut String, line: std::fmt::Arguments<'_>, origin: Option<&SettingPlace>) {
    let written = match origin.map(SettingPlace::to_string) {
        // A comment ends with its line and must not contain control characters.
        Some(origin) => writeln!(toml, "{line}  # {}", origin.replace(char::is_control, "?")),
        None => writeln!(toml, "{line}"),
    };
    written.expect("writing to a String does not fail");
}
