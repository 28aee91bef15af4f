//! The real Ollama, with models of a test's own.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    answer::{get, post},
    process::{PATIENCE, Process, cache, scratch, until},
    version::Version,
};

/// Generates and cannot embed. The settings that make its answers repeat are part of it.
pub(crate) const MODEL: &str = "talker";
/// Embeds and cannot generate.
pub(crate) const EMBEDDER: &str = "embedder";

pub(crate) struct Ollama {
    pub(crate) url: String,
    pub(crate) version: Version,
    process: Process,
    _scratch: TempDir,
}

impl Ollama {
    /// Starts one that decodes `parallel` streams at once, with [`MODEL`] loaded.
    pub(crate) fn start(version: Version, parallel: usize) -> Ollama {
        Ollama::start_with(version, parallel, &[])
    }

    /// The same, and it logs when a slot begins with a request.
    pub(crate) fn start_logging(version: Version, parallel: usize) -> Ollama {
        Ollama::start_with(version, parallel, &[("OLLAMA_DEBUG", "1")])
    }

    fn start_with(version: Version, parallel: usize, environment: &[(&str, &str)]) -> Ollama {
        let scratch = scratch();
        link(&cache("models"), &scratch.path().join("models"));
        let ollama = Ollama::serve(version, scratch, parallel, environment);
        let url = &ollama.url;
        // One thread: several wait for one another, which a busy machine makes very slow.
        let settings =
            json!({"num_thread": 1, "num_ctx": 2048, "num_predict": 12, "seed": 1, "temperature": 0});
        for (model, from, parameters) in [
            (MODEL, "gemma3:270m", settings),
            (EMBEDDER, "all-minilm", json!({"num_thread": 1, "num_ctx": 256})),
        ] {
            let create = json!({"model": model, "from": from, "parameters": parameters, "stream": false});
            assert_eq!(post(url, "/api/create", &create).json()["status"], "success");
        }
        post(url, "/api/generate", &json!({"model": MODEL})).json();
        ollama
    }

    /// Starts one that has no model.
    pub(crate) fn without_models(version: Version) -> Ollama {
        Ollama::serve(version, scratch(), 1, &[])
    }

    fn serve(version: Version, scratch: TempDir, parallel: usize, environment: &[(&str, &str)]) -> Ollama {
        let mut command = Command::new(version.program());
        command
            .arg("serve")
            .env("HOME", scratch.path())
            .env("OLLAMA_HOST", "127.0.0.1:0")
            .env("OLLAMA_MODELS", scratch.path().join("models"))
            .env("OLLAMA_NUM_PARALLEL", parallel.to_string())
            // A test asks nobody outside.
            .env("OLLAMA_NO_CLOUD", "1")
            .envs(environment.iter().copied());
        let process = Process::start(&mut command, scratch.path().join("ollama.log"));
        let url = format!("http://{}", process.address("Listening on "));
        Ollama { url, version, process, _scratch: scratch }
    }

    /// Takes every model out of memory. The next request loads it with empty caches: from there, the same questions in
    /// the same order get the same answers to the last digit of a rounding, with one slot.
    pub(crate) fn unload(&self) {
        let loaded = || get(&self.url, "/api/ps").json()["models"].as_array().unwrap().clone();
        for model in loaded() {
            post(&self.url, "/api/generate", &json!({"model": model["model"], "keep_alive": 0}));
        }
        until(|| loaded().is_empty().then_some(()), || self.log());
    }

    /// How many requests to `path` it has answered, by its log.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let path = format!("\"{path}\"");
        self.process.log().lines().filter(|line| line.starts_with("[GIN]") && line.contains(&path)).count()
    }

    /// How many requests to `path` it has answered with `status`, by its log.
    pub(crate) fn answered(&self, path: &str, status: u16) -> usize {
        let (path, status) = (format!("\"{path}\""), format!("| {status} |"));
        let log = self.process.log();
        log.lines()
            .filter(|line| line.starts_with("[GIN]") && line.contains(&path) && line.contains(&status))
            .count()
    }

    /// Waits until its log has that many lines with each mark: when each of them was there.
    pub(crate) fn moments<const N: usize>(&self, marks: [&str; N], counts: [usize; N]) -> [Vec<Instant>; N] {
        let mut moments = [(); N].map(|()| Vec::new());
        let deadline = Instant::now() + PATIENCE;
        while moments.iter().zip(counts).any(|(moments, count)| moments.len() < count) {
            let log = self.process.log();
            let now = Instant::now();
            assert!(now < deadline, "{counts:?} of {marks:?} never come: {log}");
            for (moments, mark) in moments.iter_mut().zip(marks) {
                moments.resize(log.matches(mark).count(), now);
            }
            thread::sleep(Duration::from_millis(1));
        }
        moments
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// A tree of hard links: the server adds and removes names, and writes into no file that is there.
fn link(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).expect("tests/real/install.sh was run") {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link(&entry.path(), &target);
        } else {
            fs::hard_link(entry.path(), target).unwrap();
        }
    }
}
