//! A configuration file with every key, its meaning and its default, all commented out.

use std::fmt::Write;

use super::{
    Config,
    entry::ENTRY_KEYS,
    key::KEY_KEYS,
    setting::{self, Setting},
};
use crate::upstream::UpstreamConfig;

/// The columns of a comment.
const WIDTH: usize = 100;

const HEAD: &str = "Settings of streamgauge. Every line below is a comment and shows a default: remove the `#` before \
    a key and before the `[section]` above it, and change the value. `streamgauge check --config FILE` prints every \
    mistake. A flag takes precedence over an environment variable, and a variable over this file.";
const UPSTREAM: &str = "One block for each Ollama. Without a block, --upstream or STREAMGAUGE_UPSTREAM, the upstream \
    is the address in OLLAMA_HOST, or http://127.0.0.1:11434.";
const KEY: &str =
    "One block for each caller. The file holds no key itself, only its SHA-256 or where to read it.";

/// The text of the file. Unchanged, it sets nothing. Each line without its `#` is valid TOML.
#[must_use]
pub(crate) fn template() -> String {
    let mut text = String::new();
    comment(&mut text, HEAD);
    for section in setting::sections() {
        match section {
            "upstreams" => {
                let example =
                    UpstreamConfig::new("gpu0", "http://127.0.0.1:11434".parse().expect("a constant"));
                block(&mut text, "upstream", UPSTREAM);
                for key in ENTRY_KEYS {
                    entry(&mut text, &meaning(key.doc, key.kind), key.leaf, (key.show)(&example));
                }
            }
            "shaping" => {
                block(&mut text, "key", KEY);
                for key in KEY_KEYS {
                    let example = (key.leaf == "name").then(|| "\"alice\"".to_owned());
                    entry(&mut text, &meaning(key.doc, key.kind), key.leaf, example);
                }
            }
            _ => {}
        }
        write(&mut text, format_args!("\n# [{section}]"));
        for setting in setting::leaves(section) {
            write_setting(&mut text, setting);
        }
    }
    text
}

fn write_setting(text: &mut String, setting: &Setting) {
    let meaning = meaning(setting.doc, &setting.field.kind());
    entry(text, &meaning, setting.leaf(), setting.field.show(&Config::default()));
}

fn meaning(doc: &str, kind: &str) -> String {
    format!("{doc} Values: {kind}.")
}

fn block(text: &mut String, name: &str, doc: &str) {
    text.push('\n');
    comment(text, doc);
    write(text, format_args!("# [[{name}]]"));
}

/// Writes a key with its default. A key that is unset by default has an empty text, which the user replaces.
fn entry(text: &mut String, doc: &str, leaf: &str, value: Option<String>) {
    comment(text, doc);
    write(text, format_args!("# {leaf} = {}", value.as_deref().unwrap_or("\"\"")));
}

/// Wraps a text into lines that begin with `## `, which remain comments if one `#` is removed.
fn comment(text: &mut String, doc: &str) {
    let mut line = String::from("##");
    for word in doc.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > 2 {
            write(text, format_args!("{line}"));
            line.truncate(2);
        }
        line.push(' ');
        line.push_str(word);
    }
    write(text, format_args!("{line}"));
}

fn write(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{resolve::resolve, setting::SETTINGS, source::Sources};

    fn read(text: &str) -> Result<String, String> {
        let sources =
            Sources { file: Some((PathBuf::from("s.toml"), text.to_owned())), ..Sources::default() };
        resolve(&sources, Vec::new())
            .map(|resolved| format!("{:?}", resolved.config))
            .map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn template_has_every_key_and_changes_nothing() {
        let text = template();
        for setting in SETTINGS {
            assert!(text.contains(&format!("\n# {} = ", setting.leaf())), "{}", setting.key);
        }
        for leaf in ENTRY_KEYS.iter().map(|key| key.leaf).chain(KEY_KEYS.iter().map(|key| key.leaf)) {
            assert!(text.contains(&format!("\n# {leaf} = ")), "{leaf}");
        }
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')));
        assert!(text.lines().all(|line| line.len() <= WIDTH || line.starts_with("# ")), "{text}");
        assert_eq!(read(&text).unwrap(), format!("{:?}", Config::default()));
    }

    #[test]
    fn template_uncommented_is_the_default_configuration() {
        // A key that is unset by default has no value to show; `[[key]]` needs a digest.
        let mut keep = true;
        let template = template();
        let lines = template.lines().filter_map(|line| {
            let line = line.strip_prefix("# ")?;
            if line.starts_with('[') {
                keep = line != "[[key]]";
            }
            (keep && !line.ends_with("= \"\"")).then(|| line.replace("gpu0", "upstream0"))
        });
        let text: Vec<_> = lines.collect();
        assert_eq!(read(&text.join("\n")).unwrap(), format!("{:?}", Config::default()));
    }
}
