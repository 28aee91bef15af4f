//! Properties of the files that need no engine.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::engine::IMAGE;

const FILES: [&str; 5] =
    ["compose.yaml", "compose.gpu.yaml", "compose.demo.yaml", "compose.fleet.yaml", "compose.traces.yaml"];

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn services(path: &str) -> Vec<(String, Value)> {
    yaml(path)["services"].as_object().unwrap().clone().into_iter().collect()
}

/// The words of a list, which may be missing.
fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn docker_images_are_pinned_and_ours_has_this_version() {
    let dockerfile = text("Dockerfile");
    let from: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    // The toolchain that Cargo.toml requires.
    let rust = format!("rust:{}-bookworm AS build", env!("CARGO_PKG_RUST_VERSION"));
    assert_eq!(from, [&rust, "debian:bookworm-slim"]);
    let version = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(dockerfile.contains(&version), "{version}");
    for path in FILES {
        for (name, service) in services(path) {
            let Some(image) = service["image"].as_str() else { continue };
            let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{path}: {name}: {image}"));
            assert_eq!(tag.matches('.').count(), 2, "{path}: {name}: {image}");
            assert_eq!(image == IMAGE, !service["build"].is_null(), "{path}: {name}: {image}");
        }
    }
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    rust.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// The source folders of the packages.
fn roots() -> Vec<PathBuf> {
    let packages = fs::read_dir("crates").unwrap().map(|entry| entry.unwrap().path().join("src"));
    packages.chain([PathBuf::from("src")]).collect()
}

/// The files of the checkout that the code includes.
fn included() -> Vec<String> {
    let (mut found, roots) = (Vec::new(), roots());
    let sources = roots.iter().flat_map(|root| sources(root));
    for path in sources.filter(|path| !path.ends_with("tests.rs")) {
        let code = fs::read_to_string(&path).unwrap();
        for (_, rest) in
            code.match_indices("include_str!(\"").map(|(at, opening)| code.split_at(at + opening.len()))
        {
            let mut whole = PathBuf::new();
            for part in path.parent().unwrap().join(rest.split('"').next().unwrap()).components() {
                if part == Component::ParentDir {
                    whole.pop();
                } else {
                    whole.push(part);
                }
            }
            let outside = !roots.iter().any(|root| whole.starts_with(root));
            found.extend(outside.then(|| whole.display().to_string()));
        }
    }
    found
}

/// A file is named by its path, by a folder above it, or by a `*` in its path or for its extension.
fn is_named(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    pattern.split('/').all(|pattern| {
        parts.next().is_some_and(|part| match pattern.strip_prefix('*') {
            Some(kind) => part.ends_with(kind),
            None => part == pattern,
        })
    })
}

#[test]
fn docker_build_contains_every_included_file() {
    let (dockerfile, kept) = (text("Dockerfile"), text(".dockerignore"));
    let included = included();
    assert!(included.contains(&"README.md".to_owned()), "{included:?}");
    for path in included {
        let named = |line: &str| is_named(line, &path);
        let copied = dockerfile
            .lines()
            .filter_map(|line| line.strip_prefix("COPY "))
            .any(|line| line.split(' ').any(named));
        assert!(copied, "Dockerfile does not copy {path}");
        assert!(
            kept.lines().filter_map(|line| line.strip_prefix('!')).any(named),
            ".dockerignore hides {path}"
        );
    }
}

#[test]
fn compose_publishes_only_proxy_beyond_loopback() {
    for path in FILES {
        for (name, service) in services(path) {
            for port in words(&service["ports"]) {
                let open = name == "streamgauge" && port.ends_with(":11434");
                let host = if open { "${STREAMGAUGE_HOST:-127.0.0.1}:" } else { "127.0.0.1:" };
                assert!(port.starts_with(host), "{path}: {name}: {port}");
                let is_closed =
                    ["ollama", "model", "clients", "valkey"].iter().any(|closed| name.starts_with(closed));
                assert!(!is_closed, "{path}: {name}: {port}");
            }
            // `inner2` has the second Ollama, its sidecar, and nothing else.
            for network in
                words(&service["networks"]).into_iter().filter(|network| network.starts_with("inner"))
            {
                let of = network.trim_start_matches("inner");
                let may = ["ollama", "streamgauge", "model"].map(|name| format!("{name}{of}"));
                assert!(may.contains(&name), "{path}: {name}: {network}");
            }
            let has_store = words(&service["networks"]).contains(&"store");
            assert!(!has_store || name == "valkey" || name.starts_with("streamgauge"), "{path}: {name}");
            let has_traces = words(&service["networks"]).contains(&"traces");
            assert!(!has_traces || ["jaeger", "streamgauge"].contains(&&*name), "{path}: {name}");
        }
    }
}

#[test]
fn compose_mounts_only_existing_files() {
    for path in FILES {
        for (name, service) in services(path) {
            for mount in words(&service["volumes"]).into_iter().filter(|mount| mount.starts_with('.')) {
                let (file, rest) = mount.split_once(':').unwrap();
                assert!(Path::new(file).exists(), "{path}: {name}: {file}");
                assert!(rest.ends_with(":ro"), "{path}: {name}: {mount}");
            }
        }
    }
}

#[test]
fn other_stacks_scrape_as_main_stack_does() {
    for (folder, more) in [("demo", &["fake-gpu"][..]), ("fleet", &["streamgauge2", "streamgauge3"])] {
        let mut stack = yaml("prometheus/prometheus.yml");
        let targets = &mut stack["scrape_configs"][0]["static_configs"][0]["targets"];
        targets.as_array_mut().unwrap().extend(more.iter().map(|name| format!("{name}:9464").into()));
        assert_eq!(yaml(&format!("deploy/{folder}/prometheus.yml")), stack, "{folder}");
    }
}

#[test]
fn settings_of_other_stacks_are_valid() {
    for stack in ["demo", "fleet"] {
        let sidecars = services(&format!("compose.{stack}.yaml")).into_iter();
        let sidecars: Vec<_> = sidecars.filter(|(name, _)| name.starts_with("streamgauge")).collect();
        assert!(!sidecars.is_empty(), "{stack}");
        for (name, service) in sidecars {
            let keys = service["environment"].as_object().unwrap();
            let mut check = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
            check.args(["check", "--offline", "--config", &format!("deploy/{stack}/streamgauge.toml")]);
            check.env_clear().envs(keys.iter().map(|(name, key)| (name, key.as_str().unwrap())));
            let output = check.output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
