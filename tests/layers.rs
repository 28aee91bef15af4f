//! Who may name whom: the directions of docs/explanation/architecture.md, held over every path in the source.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "layers/rules.rs"]
mod rules;
#[path = "layers/source.rs"]
mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rules::{CRATES, LAYERS, NAMES_THAT_SAY_NOTHING, WALL_CLOCK};
use source::{Target, named};

/// A file longer than this holds more than one concept.
const MOST_LINES: usize = 500;

/// Every Rust file below a folder of the crate, by its path in the crate.
fn files(folder: &str) -> Vec<PathBuf> {
    // Cargo runs tests in the package's folder; one that it compiled elsewhere may be run here.
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn all_files() -> Vec<PathBuf> {
    ["src", "tests", "benches", "examples"].into_iter().flat_map(files).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// `src/meter/tap.rs` is `meter::tap`; `src/lib.rs` is the crate itself, the empty path.
fn module(file: &Path) -> Vec<String> {
    let path = file.strip_prefix("src").unwrap().with_extension("");
    let segments = path.iter().map(|segment| segment.to_str().unwrap().to_owned()).collect();
    if path == Path::new("lib") { Vec::new() } else { segments }
}

/// `place` is `module`, or is around it.
fn is_within(module: &[String], place: &str) -> bool {
    let mut segments = module.iter();
    place.split("::").all(|segment| segments.next().is_some_and(|own| own == segment))
}

/// What a source text of a module names and may not.
fn violations(module: &[String], source: &str) -> Vec<String> {
    let place = module.join("::");
    // The narrowest row that the module is in.
    let row = LAYERS.iter().filter(|row| is_within(module, row.0)).max_by_key(|row| row.0.len());
    let allowed = row.map_or(&[][..], |row| row.1);
    named(module, source)
        .into_iter()
        .filter_map(|target| match target {
            Target::Module(path) => {
                let other = path.first().map_or("*", String::as_str);
                let own = module.first().is_some_and(|own| own == other);
                let fine = own || allowed.contains(&other);
                (!fine).then(|| format!("{place} names the module {other}"))
            }
            Target::Crate(name) => {
                let places = CRATES.iter().find(|row| row.0 == name)?.1;
                let fine = places.iter().any(|allowed| is_within(module, allowed));
                (!fine).then(|| format!("{place} names the crate {name}"))
            }
        })
        .collect()
}

#[test]
fn each_module_names_only_what_the_directions_allow() {
    let found: BTreeSet<_> =
        files("src").iter().flat_map(|file| violations(&module(file), &read(file))).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_layer_has_a_row() {
    let layers: BTreeSet<_> = files("src").iter().filter_map(|file| module(file).first().cloned()).collect();
    assert!(layers.contains("protocol"), "the source is found");
    let without: Vec<_> =
        layers.iter().filter(|layer| LAYERS.iter().all(|row| row.0 != layer.as_str())).collect();
    assert!(without.is_empty(), "no row in tests/layers/rules.rs: {without:?}");
}

#[test]
fn no_stage_reads_the_configuration() {
    for (layer, allowed) in LAYERS {
        assert!(!allowed.contains(&"config") || ["main", "cli"].contains(layer), "{layer}");
    }
}

#[test]
fn each_file_is_short_and_begins_by_saying_what_it_is() {
    for file in all_files() {
        let text = read(&file);
        assert!(text.lines().count() <= MOST_LINES, "{} is too long", file.display());
        assert!(text.starts_with("//! "), "{} does not say what it is", file.display());
    }
}

#[test]
fn each_file_is_named_by_what_it_holds() {
    for file in all_files() {
        let says_nothing = |name: &str| NAMES_THAT_SAY_NOTHING.contains(&name);
        let bad = file.with_extension("").iter().any(|segment| says_nothing(segment.to_str().unwrap()));
        assert!(!bad, "{} is a name for anything", file.display());
    }
}

#[test]
fn the_wall_clock_is_read_where_a_date_is_wanted_and_nowhere_else() {
    let reads = |file: &PathBuf| read(file).contains("SystemTime::now");
    let found: Vec<_> = files("src").into_iter().filter(reads).map(|file| module(&file).join("::")).collect();
    assert_eq!(found, WALL_CLOCK.map(|row| row.0));
}

/// The rules themselves, on source that was made up.
#[test]
fn a_bad_path_is_found_wherever_it_stands() {
    for (at, source, found) in [
        ("meter::tap", "use crate::metric::Family;", None),
        ("meter::tap", "use super::live::Live; use self::x::Y;", None),
        ("meter::tap", "use crate::proxy::Proxy;", Some("meter::tap names the module proxy")),
        (
            "meter::tap",
            "use crate::{metric, config::{self, Log}};",
            Some("meter::tap names the module config"),
        ),
        ("meter::tap", "use super::super::admin;", Some("meter::tap names the module admin")),
        ("meter::tap", "fn f() { crate::agent::run() }", Some("meter::tap names the module agent")),
        ("meter::tap", "use crate::*;", Some("meter::tap names the module *")),
        (
            "meter",
            "mod tests { use super::*; use super::super::agent; }",
            Some("meter names the module agent"),
        ),
        ("meter", "mod tests { use super::*; } use super::metric::Family;", None),
        ("meter::tap", "use hyper::body::Body;", Some("meter::tap names the crate hyper")),
        ("meter::tap", "use ::{tokio::time, bytes::Bytes};", Some("meter::tap names the crate tokio")),
        ("meter::tap", "use tokio as t;", Some("meter::tap names the crate tokio")),
        ("meter::tap", "type X = Vec<::tokio::time::Sleep>;", Some("meter::tap names the crate tokio")),
        ("meter::tap", "#[tokio::test] async fn f() {}", Some("meter::tap names the crate tokio")),
        (
            "meter::tap",
            "fn f() { Vec::<u8>::new(); <u8 as From<bool>>::from(true); hyper::x() }",
            Some("meter::tap names the crate hyper"),
        ),
        ("meter::tap", "fn f(x: &dyn ::hyper::rt::Read) {}", Some("meter::tap names the crate hyper")),
        ("meter::tap", "extern crate hyper;", Some("meter::tap names the crate hyper")),
        ("meter::tap", "// use hyper::Body;\n/* crate::proxy /* */ hyper::x */", None),
        ("meter::tap", "const A: &str = \"hyper::body\"; const B: &str = r#\"\"hyper::b\"#;", None),
        ("meter::tap", "fn f<'a>(x: &'a str) -> char { '\"' } // hyper::x", None),
        ("proxy::listen", "use hyper::body::Body;", None),
        ("proxyish::listen", "use hyper::body::Body;", Some("proxyish::listen names the crate hyper")),
        ("upstream::health", "use hyper::body::Body;", Some("upstream::health names the crate hyper")),
        ("upstream::client", "use reqwest::Client;", Some("upstream::client names the crate reqwest")),
        ("collector::models", "use crate::upstream::Health;", None),
        ("collector::lag", "use crate::upstream::Health;", Some("collector::lag names the module upstream")),
        (
            "analysis::compare",
            "use prometheus::Registry;",
            Some("analysis::compare names the crate prometheus"),
        ),
        ("main", "use streamgauge::proxy::Config;", Some("main names the module proxy")),
        ("main", "use streamgauge::{cli::Cli, config};", None),
        ("", "pub use agent::Agent; mod metric;", None),
        ("", "pub use crate::agent::Agent;", Some(" names the module agent")),
    ] {
        let module: Vec<String> = at.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        assert_eq!(violations(&module, source).first().map(String::as_str), found, "{source}");
    }
}
