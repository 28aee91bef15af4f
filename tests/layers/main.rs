//! The modules and crates that each module may name: the directions of docs/explanation/architecture.md, checked for
//! every path in the source.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod circles;
mod rules;
mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rules::{CIRCLES, NAMES_THAT_SAY_NOTHING, PACKAGES, Package, Table, WALL_CLOCK};
use source::{Target, named};

/// A longer file contains more than one concept.
const MOST_LINES: usize = 500;

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    // Cargo runs tests in the package's folder, even if it compiled them elsewhere.
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
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
    let folders = PACKAGES.iter().flat_map(|package| {
        ["src", "tests", "benches", "examples", "fuzz/targets"]
            .map(|folder| Path::new(package.folder).join(folder))
    });
    folders.flat_map(|folder| files(&folder)).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// The modules of a package with their sources. `src/meter/tap.rs` is `meter::tap`; `src/lib.rs` is the crate
/// itself, with the empty path.
fn modules(package: &Package) -> Vec<(Vec<String>, String)> {
    let root = Path::new(package.folder).join("src");
    let module = |file: &Path| {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let segments = path.iter().map(|segment| segment.to_str().unwrap().to_owned()).collect();
        if path == Path::new("lib") { Vec::new() } else { segments }
    };
    files(&root).iter().map(|file| (module(file), read(file))).collect()
}

/// Whether `place` is `module` or contains it.
fn is_within(module: &[String], place: &str) -> bool {
    let mut segments = module.iter();
    let found = place.split("::").all(|segment| segments.next().is_some_and(|own| own == segment));
    found || (module.is_empty() && place.is_empty())
}

/// The most specific row for a module.
fn row(table: Table, module: &[String]) -> Option<&'static (&'static str, &'static [&'static str])> {
    table.iter().filter(|row| is_within(module, row.0)).max_by_key(|row| row.0.len())
}

/// The module of the package, or the crate, to which a path leads.
fn other<'a>(module: &[String], target: &'a Target) -> Option<&'a str> {
    match target {
        Target::Module(path) => {
            let first = path.first().map_or("*", String::as_str);
            (module.first().map(String::as_str) != Some(first)).then_some(first)
        }
        Target::Crate(name) => Some(name),
    }
}

/// The names in a module's source that its row does not allow.
fn violations(package: &Package, module: &[String], source: &str) -> Vec<String> {
    let place = module.join("::");
    let mut found = Vec::new();
    for target in named(module, source) {
        let Some(other) = other(module, &target) else { continue };
        match target {
            Target::Module(_) => {
                let allowed = row(package.layers, module).map_or(&[][..], |row| row.1);
                if !package.layers.is_empty() && !allowed.contains(&other) {
                    found.push(format!("{place} names the module {other}"));
                }
            }
            Target::Crate(_) => {
                let places = package.crates.iter().find(|row| row.0 == other).map(|row| row.1);
                if places.is_some_and(|places| !places.iter().any(|place| is_within(module, place))) {
                    found.push(format!("{place} names the crate {other}"));
                }
            }
        }
    }
    found
}

#[test]
fn module_names_only_allowed_modules_and_crates() {
    let mut found = BTreeSet::new();
    for package in PACKAGES {
        for (module, source) in modules(package) {
            let here = violations(package, &module, &source);
            found.extend(here.into_iter().map(|violation| format!("{}: {violation}", package.name)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn permission_between_modules_is_used() {
    let mut unused = Vec::new();
    for package in PACKAGES {
        let modules = modules(package);
        let mut used = BTreeSet::new();
        for (module, source) in &modules {
            for target in named(module, source) {
                let Some(other) = other(module, &target) else { continue };
                match target {
                    Target::Module(_) => {
                        used.extend(row(package.layers, module).map(|row| (row.0, other.to_owned())));
                    }
                    Target::Crate(_) => {
                        let places =
                            package.crates.iter().find(|row| row.0 == other).map_or(&[][..], |row| row.1);
                        let here = places.iter().filter(|place| is_within(module, place));
                        used.extend(here.map(|place| (*place, other.to_owned())));
                    }
                }
            }
        }
        let layers = package.layers.iter().flat_map(|row| row.1.iter().map(|other| (row.0, *other)));
        let crates = package.crates.iter().flat_map(|row| row.1.iter().map(|place| (*place, row.0)));
        let given =
            layers.chain(crates).filter(|(place, other)| !used.contains(&(*place, (*other).to_owned())));
        unused.extend(given.map(|(place, other)| format!("{}: {place} may name {other}", package.name)));
    }
    assert!(unused.is_empty(), "no module uses these rows of tests/layers/rules.rs: {unused:#?}");
}

#[test]
fn package_and_layer_has_a_row() {
    let folders = fs::read_dir("crates").unwrap().map(|entry| entry.unwrap().path());
    let packages: BTreeSet<_> = folders.chain([PathBuf::from(".")]).collect();
    let known: BTreeSet<_> = PACKAGES.iter().map(|package| PathBuf::from(package.folder)).collect();
    assert_eq!(packages, known);
    for package in PACKAGES.iter().filter(|package| !package.layers.is_empty()) {
        let layers: BTreeSet<_> =
            modules(package).iter().filter_map(|(module, _)| module.first().cloned()).collect();
        let without: Vec<_> =
            layers.iter().filter(|layer| package.layers.iter().all(|row| row.0 != layer.as_str())).collect();
        assert!(without.is_empty(), "{}: no row in tests/layers/rules.rs: {without:?}", package.name);
    }
}

#[test]
fn file_never_needs_a_file_that_needs_it() {
    let mut found = Vec::new();
    for package in PACKAGES {
        let modules: Vec<_> = modules(package)
            .into_iter()
            .filter(|(module, _)| !module.iter().any(|segment| segment == "tests"))
            .collect();
        assert!(modules.len() > 5, "{} has files", package.name);
        found.extend(circles::circles(&modules).into_iter().map(|circle| (package.name, circle.join(" "))));
    }
    let known: Vec<_> = CIRCLES.iter().map(|(package, files, _)| (*package, (*files).to_owned())).collect();
    assert_eq!(found, known, "move what the files share to the file where it belongs");
}

#[test]
fn stage_never_reads_configuration() {
    for (layer, allowed) in PACKAGES[0].layers {
        assert!(!allowed.contains(&"config") || ["main", "cli"].contains(layer), "{layer}");
    }
}

#[test]
fn file_is_short_and_begins_with_its_description() {
    for file in all_files() {
        let text = read(&file);
        assert!(text.lines().count() <= MOST_LINES, "{} is too long", file.display());
        assert!(text.starts_with("//! "), "{} does not say what it is", file.display());
    }
}

#[test]
fn file_name_says_what_it_contains() {
    for file in all_files() {
        let says_nothing = |name: &str| NAMES_THAT_SAY_NOTHING.contains(&name);
        let bad = file.with_extension("").iter().any(|segment| says_nothing(segment.to_str().unwrap()));
        assert!(!bad, "{} is a name for anything", file.display());
    }
}

#[test]
fn path_attribute_has_its_reason_in_a_comment_above() {
    let without_reason = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        let is_bare = |pair: &[&str]| pair[1].starts_with("#[path") && !pair[0].starts_with("// ");
        lines.windows(2).any(is_bare)
    };
    assert!(without_reason("mod a;\n    #[path = \"b.rs\"]\n    mod b;\n"));
    assert!(!without_reason("// Several test programs use this file.\n#[path = \"b.rs\"]\nmod b;\n"));
    let found: Vec<_> = all_files().into_iter().filter(|file| without_reason(&read(file))).collect();
    assert!(
        found.is_empty(),
        "modules lie where Cargo looks for them, or a comment says why not: {found:#?}"
    );
}

#[test]
fn wall_clock_is_read_only_where_a_date_is_needed() {
    let mut found = Vec::new();
    for package in PACKAGES {
        let modules = modules(package).into_iter().filter(|(_, source)| source.contains("SystemTime::now"));
        found.extend(modules.map(|(module, _)| format!("{}::{}", package.name, module.join("::"))));
    }
    assert_eq!(found, WALL_CLOCK.map(|row| row.0));
}

/// Invented rules.
const MADE_UP: Package = Package {
    name: "made_up",
    folder: ".",
    layers: &[
        ("main", &["cli", "config"]),
        ("proxy", &["meter"]),
        ("meter", &["metric"]),
        ("metric", &[]),
        ("collector", &["metric"]),
        ("collector::models", &["upstream"]),
        ("upstream", &[]),
    ],
    crates: &[
        ("hyper", &["proxy", "upstream::client"]),
        ("prometheus", &["metric"]),
        ("reqwest", &["upstream::health"]),
        ("tokio", &["proxy"]),
        ("streamgauge_meter", &[""]),
    ],
};

#[test]
fn forbidden_path_is_found_anywhere_in_source() {
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
        ("meter::tap", "fn f() { crate::sidecar::run() }", Some("meter::tap names the module sidecar")),
        ("meter::tap", "use crate::*;", Some("meter::tap names the module *")),
        (
            "meter",
            "mod tests { use super::*; use super::super::sidecar; }",
            Some("meter names the module sidecar"),
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
        ("", "pub use sidecar::Sidecar; mod metric;", None),
        ("", "pub use crate::sidecar::Sidecar;", Some(" names the module sidecar")),
        ("", "pub use streamgauge_meter::meter;", None),
        ("proxy", "use streamgauge_meter::meter;", Some("proxy names the crate streamgauge_meter")),
    ] {
        let module: Vec<String> = at.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        assert_eq!(violations(&MADE_UP, &module, source).first().map(String::as_str), found, "{source}");
    }
}
