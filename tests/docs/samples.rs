//! Samples of configuration, read by the programs that read the real files.

use std::{collections::BTreeMap, fs, io::Write, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::page::{Block, pages};

/// The languages of code blocks and the test of each: here, `tests/docs/commands.rs`, or another test.
const LANGUAGES: [&str; 11] = [
    "", "sh", "toml", "ini", "env", "yaml", "json",   // tests/monitoring/manual.rs
    "promql", // The programs of which they are parts are examples/, run by tests/examples.rs.
    "rust",   // crates/lab/tests/report/schema.rs
    "shapes", // The output of a program.
    "text",
];

fn blocks(language: &str) -> Vec<Block> {
    let all = pages().into_iter().flat_map(|page| page.blocks());
    all.filter(|block| block.language == language).collect()
}

/// The files that the guides create, as samples name them.
fn certificates() -> TempDir {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["gpu0.lan".to_owned()]).unwrap();
    for name in ["ca.pem", "server.pem"] {
        fs::write(folder.path().join(name), made.cert.pem()).unwrap();
    }
    // The file of keys of docs/how-to/share-limits.md.
    fs::write(folder.path().join("keys.toml"), "key = [{ name = \"alice\", key_file = \"server.key\" }]")
        .unwrap();
    fs::write(folder.path().join("server.key"), made.signing_key.serialize_pem()).unwrap();
    // The file of header fields of docs/how-to/traces.md.
    fs::write(folder.path().join("otlp.headers"), "Authorization: Bearer TOKEN\n").unwrap();
    folder
}

/// Runs `streamgauge check --offline`, which knows every key and its values.
fn check(place: &str, arguments: &[&str], environment: &[(&str, &str)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(["check", "--offline"]).args(arguments).env_clear().envs(environment.iter().copied());
    let files = certificates();
    let output = command.current_dir(files.path()).output().unwrap();
    assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn code_block_names_its_language() {
    for block in pages().iter().flat_map(|page| page.blocks()) {
        assert!(LANGUAGES.contains(&block.language.as_str()), "{}: {}", block.place, block.language);
        assert!(!block.text.trim().is_empty(), "{} is empty", block.place);
    }
}

#[test]
fn toml_sample_is_valid_configuration_or_dependency() {
    let manifest = |path: &str| -> toml::Table { fs::read_to_string(path).unwrap().parse().unwrap() };
    let workspace = manifest("Cargo.toml")["workspace"]["package"].clone();
    let source = [
        ("version", workspace["version"].as_str().unwrap()),
        ("git", workspace["repository"].as_str().unwrap()),
    ];
    let blocks = blocks("toml");
    assert!(blocks.len() >= 3, "{} blocks were found", blocks.len());
    for Block { place, text, .. } in blocks {
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{place}: {error}"));
        let Some(dependencies) = table.get("dependencies").and_then(toml::Value::as_table) else {
            let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            check(&place, &["--config", file.path().to_str().unwrap()], &[]);
            continue;
        };
        let ours: Vec<_> = dependencies.iter().filter(|(name, _)| name.starts_with("streamgauge")).collect();
        assert!(!ours.is_empty(), "{place}: none of our packages");
        for (name, dependency) in ours {
            if let Some(version) = dependency.as_str() {
                assert!(source[0].1.starts_with(version), "{place}: {name} {version}");
                continue;
            }
            let told = |(key, is): (&str, &str)| {
                dependency.get(key).map(|told| is.starts_with(told.as_str().unwrap()))
            };
            let is_right =
                source.into_iter().find_map(told).unwrap_or_else(|| dependency.get("path").is_some());
            assert!(is_right, "{place}: {dependency} is not {source:?}");
            // A program does not need the command line.
            let is_whole = dependency.get("default-features").and_then(toml::Value::as_bool) != Some(false);
            assert!(name != "streamgauge" || !is_whole, "{place}");
            let folder =
                name.strip_prefix("streamgauge-").map_or(".".to_owned(), |name| format!("crates/{name}"));
            let package = manifest(&format!("{folder}/Cargo.toml"));
            let asked = dependency.get("features").and_then(toml::Value::as_array);
            for feature in asked.into_iter().flatten() {
                let is_there = package["features"].get(feature.as_str().unwrap()).is_some();
                assert!(is_there, "{place}: {name} has no feature {feature}");
            }
        }
    }
}

#[test]
fn environment_sample_names_valid_settings() {
    // The pages move Ollama there, so that its old port is free.
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(b"[[upstream]]\nurl = \"http://127.0.0.1:11435\"\n").unwrap();
    for Block { place, text, .. } in blocks("env") {
        let set: Vec<_> = text.lines().map(|line| line.split_once('=').unwrap()).collect();
        check(&place, &["--config", file.path().to_str().unwrap()], &set);
    }
}

#[test]
fn systemd_unit_sample_has_valid_sections_and_command() {
    for Block { place, text, .. } in blocks("ini") {
        let (mut sections, mut started) = (BTreeMap::<&str, usize>::new(), Vec::new());
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                assert!(["Unit", "Service", "Socket", "Install"].contains(&section), "{place}: [{section}]");
                sections.insert(section, 0);
                continue;
            }
            let (directive, value) = line.split_once('=').unwrap_or_else(|| panic!("{place}: {line}"));
            assert!(directive.chars().all(char::is_alphanumeric), "{place}: {line}");
            *sections.values_mut().last().unwrap_or_else(|| panic!("{place}: no section before {line}")) += 1;
            started.extend((directive == "ExecStart" && !value.is_empty()).then_some(value));
        }
        assert!(!sections.is_empty() && sections.values().all(|directives| *directives > 0), "{place}");
        for command in started {
            super::commands::is_right(&place, command);
        }
    }
}

#[test]
fn yaml_and_json_samples_parse() {
    for Block { place, text, .. } in blocks("yaml") {
        let read: Result<Value, _> = serde_saphyr::from_str(&text);
        assert!(read.is_ok_and(|value| value.is_object() || value.is_array()), "{place}");
    }
    for Block { place, text, .. } in blocks("json") {
        let read: Result<Value, _> = serde_json::from_str(&text);
        assert!(read.is_ok(), "{place}: {read:?}");
    }
}
