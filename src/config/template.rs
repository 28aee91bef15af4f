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

const HEAD: &str = "Settings of streamgauge. Every line below is a comment and shows a default, or an example if the \
    setting is unset by default. Remove the `#` before a key and before the `[section]` above it, and change the value. \
    `streamgauge check --config FILE` prints every mistake. A flag takes precedence over an environment variable, and a \
    variable over this file.";
const UPSTREAM: &str = "One block for each Ollama. Without a block, --upstream or STREAMGAUGE_UPSTREAM, the upstream \
    is the address in OLLAMA_HOST, or http://127.0.0.1:11434.";
const KEY: &str = "One block for each caller. The file holds no key itself, only its SHA-256 or where to read it. \
    `printf %s KEY | sha256sum | cut -d' ' -f1` prints the SHA-256.";
/// A valid value of each setting that is unset by default.
const EXAMPLES: [(&str, &str); 41] = [
    ("proxy.tls", TLS),
    ("admin.tls", TLS),
    ("admin.token_file", "\"/run/secrets/admin\""),
    ("log.requests_file", "\"/var/log/streamgauge/requests.log\""),
    ("upstream.ca_file", "\"ca.pem\""),
    ("upstream.client_cert", "\"client.pem\""),
    ("upstream.client_key", "\"client.key\""),
    ("upstream.max_streams", "\"auto\""),
    ("upstream.min_tokens_per_second", "10"),
    ("upstreams.primary", "\"gpu0\""),
    ("access.keys_file", "\"/etc/streamgauge/keys.toml\""),
    (
        "access.routes",
        "[\"generate\", \"chat\", \"embed\", \"tags\", \"show\", \"ps\", \"version\", \"openai\"]",
    ),
    ("access.origins", "[\"https://chat.example\"]"),
    ("access.anonymous", "{ requests = \"10/min\", max_streams = 1 }"),
    ("access.caller_header", "{ name = \"X-OpenWebUI-User-Id\", keys = [\"openwebui\"] }"),
    ("key.sha256", "\"1111111111111111111111111111111111111111111111111111111111111111\""),
    ("key.key_file", "\"/run/secrets/alice\""),
    ("key.key_env", "\"ALICE_KEY\""),
    ("key.requests", "\"60/min\""),
    ("key.requests_burst", "60"),
    ("key.tokens", "\"20000/min\""),
    ("key.tokens_burst", "20000"),
    ("key.max_streams", "2"),
    ("key.weight", "2"),
    ("key.priority", "\"high\""),
    ("key.routes", "[\"chat\", \"tags\"]"),
    ("key.models", "[\"llama3.2\", \"qwen3:*\"]"),
    ("key.pace", "60"),
    ("key.on_failure", "\"closed\""),
    ("shared.url", "\"rediss://store.example:6379\""),
    ("shared.username", "\"streamgauge\""),
    ("shared.password_file", "\"/run/secrets/redis\""),
    ("shared.password_env", "\"REDIS_PASSWORD\""),
    ("shared.ca_file", "\"ca.pem\""),
    ("shaping.adaptive", "{ input = \"true\", target = 0.9, floor = 10, ceiling = 120, window = \"30s\" }"),
    ("shaping.coalesce", "{ delay = \"50ms\", bytes = \"1KiB\" }"),
    ("traces.endpoint", "\"http://127.0.0.1:4318\""),
    ("traces.headers_file", "\"/run/secrets/otlp\""),
    ("traces.headers_env", "\"OTLP_HEADERS\""),
    ("traces.ca_file", "\"ca.pem\""),
    ("recording.folder", "\"/var/lib/streamgauge/recording\""),
];
const TLS: &str = "{ cert = \"server.pem\", key = \"server.key\" }";

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
                    entry(&mut text, "upstream", key.leaf, &meaning(key.doc, key.kind), (key.show)(&example));
                }
            }
            "shaping" => {
                block(&mut text, "key", KEY);
                for key in KEY_KEYS {
                    let name = (key.leaf == "name").then(|| "\"alice\"".to_owned());
                    entry(&mut text, "key", key.leaf, &meaning(key.doc, key.kind), name);
                }
            }
            _ => {}
        }
        write(&mut text, format_args!("\n# [{section}]"));
        for setting in setting::leaves(section) {
            write_setting(&mut text, section, setting);
        }
    }
    text
}

fn write_setting(text: &mut String, section: &str, setting: &Setting) {
    let meaning = meaning(setting.doc, &setting.field.kind());
    entry(text, section, setting.leaf(), &meaning, setting.field.show(&Config::default()));
}

fn meaning(doc: &str, kind: &str) -> String {
    format!("{doc} Values: {kind}.")
}

fn block(text: &mut String, name: &str, doc: &str) {
    text.push('\n');
    comment(text, doc);
    write(text, format_args!("# [[{name}]]"));
}

/// Writes a key with its default, or with an example if it is unset by default.
fn entry(text: &mut String, section: &str, leaf: &str, doc: &str, default: Option<String>) {
    let Some(default) = default else {
        comment(text, &format!("{doc} Example:"));
        let example = EXAMPLES.iter().find(|(key, _)| key.split_once('.') == Some((section, leaf)));
        return write(text, format_args!("# {leaf} = {}", example.map_or("\"\"", |(_, value)| value)));
    };
    comment(text, doc);
    write(text, format_args!("# {leaf} = {default}"));
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
        for setting in SETTINGS.iter() {
            assert!(text.contains(&format!("\n# {} = ", setting.leaf())), "{}", setting.key);
        }
        for leaf in ENTRY_KEYS.iter().map(|key| key.leaf).chain(KEY_KEYS.iter().map(|key| key.leaf)) {
            assert!(text.contains(&format!("\n# {leaf} = ")), "{leaf}");
        }
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')));
        assert!(text.lines().all(|line| line.len() <= WIDTH || line.starts_with("# ")), "{text}");
        assert_eq!(read(&text).unwrap(), format!("{:?}", Config::default()));
    }

    /// The lines that set something, and whether each is an example, with `[[key]]` only if `has_keys`.
    fn uncommented(has_keys: bool) -> Vec<(String, bool)> {
        let (mut keep, mut is_example) = (true, false);
        let mut lines = Vec::new();
        for line in template().lines() {
            if line.starts_with("##") {
                is_example = line.ends_with(" Example:");
            } else if let Some(line) = line.strip_prefix("# ") {
                if line.starts_with('[') {
                    (keep, is_example) = (has_keys || line != "[[key]]", false);
                }
                if keep {
                    lines.push((line.to_owned(), is_example));
                }
            }
        }
        lines
    }

    #[test]
    fn template_uncommented_without_examples_is_the_default_configuration() {
        // `[[key]]` has no default.
        let lines = uncommented(false).into_iter().filter(|(_, is_example)| !is_example);
        let text: Vec<_> = lines.map(|(line, _)| line.replace("gpu0", "upstream0")).collect();
        assert_eq!(read(&text.join("\n")).unwrap(), format!("{:?}", Config::default()));
    }

    #[test]
    fn template_example_is_a_valid_value() {
        // A key has one of three sources, and an http upstream has no certificates.
        let others =
            ["key_file", "key_env", "password_env", "headers_env", "ca_file", "client_cert", "client_key"];
        let lines: Vec<_> = uncommented(true).into_iter().map(|(line, _)| line).collect();
        let examples =
            lines.iter().filter(|line| line.split_once(" = ").is_some_and(|(_, value)| value == "\"\""));
        assert_eq!(examples.count(), 0, "{lines:#?}");
        let kept: Vec<_> =
            lines.iter().filter(|line| !others.iter().any(|key| line.starts_with(key))).collect();
        assert!(kept.len() > 40, "{kept:#?}");
        let text: String = kept.into_iter().flat_map(|line| [line, "\n"]).collect();
        let mistakes = read(&text).unwrap_err();
        let wrong: Vec<_> = mistakes.lines().filter(|line| line.starts_with("error: ")).collect();
        // The files of the examples do not exist: two certificates with their keys, the token, the
        // password, the fields for the endpoint of traces, and the keys.
        assert!(wrong.iter().all(|line| line.contains("cannot read")), "{mistakes}");
        assert_eq!(wrong.len(), 8, "{mistakes}");
    }
}
