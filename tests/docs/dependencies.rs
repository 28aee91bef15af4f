//! What Cargo.toml requires is what the documentation says: each crate, and the version of Rust.

use std::{collections::BTreeSet, fs};

#[test]
fn each_direct_dependency_has_its_reason() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let targets = manifest["target"].as_table().unwrap().values();
    let tables = std::iter::once(&manifest).chain(targets.map(|target| target.as_table().unwrap()));
    let named: BTreeSet<_> = tables
        .flat_map(|table| ["dependencies", "dev-dependencies"].map(|kind| table.get(kind)))
        .flatten()
        .flat_map(|crates| crates.as_table().unwrap().keys().cloned())
        .collect();
    let rows = include_str!("../../docs/explanation/dependencies.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<_> = rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect();
    assert_eq!(explained, named);
}

#[test]
fn prerequisites_name_the_oldest_rust_that_builds_it() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let needed = format!("Rust {} or newer", manifest["package"]["rust-version"].as_str().unwrap());
    for page in ["README.md", "docs/quick-start.md"] {
        assert!(fs::read_to_string(page).unwrap().contains(&needed), "{page} does not say: {needed}");
    }
}
