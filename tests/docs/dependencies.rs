//! The requirements of Cargo.toml are in the documentation: each crate, and the version of Rust.

use std::{collections::BTreeSet, fs};

fn manifest(path: &str) -> toml::Table {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}")).parse().unwrap()
}

/// The crates that Cargo.toml declares for every package.
fn declared() -> BTreeSet<String> {
    let workspace = manifest("Cargo.toml")["workspace"].as_table().unwrap().clone();
    workspace["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn dependency_has_its_reason_in_documentation() {
    let page = include_str!("../../docs/explanation/dependencies.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<_> = rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect();
    let foreign = declared().into_iter().filter(|name| !name.starts_with("streamgauge-"));
    assert_eq!(explained, foreign.collect());
}

#[test]
fn dependency_of_package_is_declared_once_and_used() {
    let folders = fs::read_dir("crates").unwrap().map(|entry| entry.unwrap().path());
    let paths = folders.map(|folder| folder.join("Cargo.toml").display().to_string());
    let mut used = BTreeSet::new();
    for path in paths.chain(["Cargo.toml".to_owned()]) {
        let manifest = manifest(&path);
        let targets =
            manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
        let tables = std::iter::once(&manifest).chain(targets.map(|target| target.as_table().unwrap()));
        let kinds = tables.flat_map(|table| ["dependencies", "dev-dependencies"].map(|kind| table.get(kind)));
        for (name, dependency) in kinds.flatten().flat_map(|crates| crates.as_table().unwrap()) {
            let inherited = dependency.get("workspace").and_then(toml::Value::as_bool);
            assert_eq!(inherited, Some(true), "{path}: {name} is not that of the workspace");
            used.insert(name.clone());
        }
    }
    assert_eq!(used, declared());
}

#[test]
fn prerequisites_name_oldest_supported_rust() {
    let needed = format!("Rust {} or newer", env!("CARGO_PKG_RUST_VERSION"));
    for page in ["README.md", "docs/quick-start.md"] {
        assert!(fs::read_to_string(page).unwrap().contains(&needed), "{page} does not say: {needed}");
    }
}
