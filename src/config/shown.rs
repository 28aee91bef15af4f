//! The resolved settings, as TOML that can be fed back.

use std::fmt::Write;

use super::{
    entry::ENTRY_KEYS,
    mistake::Place,
    resolve::Resolved,
    setting::{self, Setting},
};

impl Resolved {
    /// Every setting, with a comment that says where it was written if it was.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut toml = String::new();
        for section in setting::sections() {
            if section == "upstreams" {
                self.write_upstreams(&mut toml);
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

    fn write_upstreams(&self, toml: &mut String) {
        for (position, upstream) in self.config.agent.upstream.upstreams.iter().enumerate() {
            push(toml, format_args!("\n[[upstream]]"), self.upstream_origins.get(position));
            for key in ENTRY_KEYS {
                push(toml, format_args!("{} = {}", key.leaf, (key.show)(upstream)), None);
            }
        }
    }
}

fn push(toml: &mut String, line: std::fmt::Arguments<'_>, origin: Option<&Place>) {
    let written = match origin.map(Place::to_string) {
        // A comment ends with its line and takes no control characters.
        Some(origin) => writeln!(toml, "{line}  # {}", origin.replace(char::is_control, "?")),
        None => writeln!(toml, "{line}"),
    };
    written.expect("a String takes everything");
}
