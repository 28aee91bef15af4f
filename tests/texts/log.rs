//! The messages of the log, taken from the source.

use std::{collections::BTreeSet, fs, path::Path};

use super::snapshot;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Every Rust file below a folder, except those of tests.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path).unwrap();
            found.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned());
        }
    }
}

/// The arguments of a macro whose text begins behind its opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut is_text, mut is_escaped) = (0, false, false);
    let mut arguments = vec![String::new()];
    for character in text.chars() {
        let last = arguments.last_mut().unwrap();
        if is_text {
            last.push(character);
            (is_text, is_escaped) = (is_escaped || character != '"', !is_escaped && character == '\\');
            continue;
        }
        match character {
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            ')' if depth == 0 => break,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '"' => is_text = true,
            _ => {}
        }
        last.push(character);
    }
    let joined = arguments.iter().map(|argument| argument.split_whitespace().collect::<Vec<_>>().join(" "));
    joined.map(|argument| argument.replace("\\ ", "")).filter(|argument| !argument.is_empty()).collect()
}

/// The messages of a level, each with its fields.
fn messages(sources: &[String], level: &str) -> BTreeSet<String> {
    let call = format!("tracing::{level}!(");
    let calls = sources.iter().flat_map(|text| text.split(&call).skip(1).map(arguments));
    calls
        .map(|arguments| {
            let is_message = |argument: &&String| argument.starts_with('"');
            let message = arguments.iter().find(is_message).map_or("", String::as_str);
            let fields: Vec<_> =
                arguments.iter().take_while(|argument| !is_message(argument)).cloned().collect();
            format!("{}  [{}]", message.trim_matches('"'), fields.join(", "))
        })
        .collect()
}

#[test]
fn message_of_every_log_line_is_in_the_snapshot() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    for package in fs::read_dir(root.join("crates")).unwrap() {
        sources(&package.unwrap().path().join("src"), &mut found);
    }
    let mut text = String::new();
    for level in LEVELS {
        let messages = messages(&found, level);
        text += &format!("==== {level}\n\n");
        text.extend(messages.iter().map(|message| format!("{message}\n")));
        text += "\n";
    }
    assert!(text.lines().count() > 40, "{text}");
    snapshot::compare("log.txt", &text);
}

#[test]
fn arguments_are_split_outside_of_texts_and_parentheses() {
    let text = "upstream = one(1, 2), %error, \"a, (b\\\" \\\n   c\"); rest";
    assert_eq!(arguments(text), ["upstream = one(1, 2)", "%error", "\"a, (b\\\" c\""]);
}
