//! A real Ollama with models for the tests.

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

/// A model that generates and cannot embed. Its settings make responses reproducible.
pub(crate) const MODEL: &str = "talker";
/// A model that embeds and cannot generate.
pub(crate) const EMBEDDER: &str = "embedder";

pub(crate) struct Ollama {
    pub(crate) url: String,
    pub(crate) version: Version,
    process: Process,
    _scratch: TempDir,
}

impl Ollama {
    /// Starts an Ollama that decodes `parallel` streams at once, with [`MODEL`] loaded.
    pub(crate) fn start(version: Version, parallel: usize) -> Ollama {
        Ollama::start_with(version, parallel, &[])
    }

    /// The same, with a log of when a slot begins a request.
    pub(crate) fn start_logging(version: Version, parallel: usize) -> Ollama {
        Ollama::start_with(version, parallel, &[("OLLAMA_DEBUG", "1")])
    }

    fn start_with(version: Version, parallel: usize, environment: &[(&str, &str)]) -> Ollama {
        let scratch = scratch();
        link(&cache("models"), &scratch.path().join("models"));
        let ollama = Ollama::serve(version, scratch, parallel, environment);
        let url = &ollama.url;
        // One thread, since several would wait for one another, which is very slow on a busy machine.
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

    /// Starts an Ollama without models.
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
            // Tests use no network.
            .env("OLLAMA_NO_CLOUD", "1")
            .envs(environment.iter().copied());
        let process = Process::start(&mut command, scratch.path().join("ollama.log"));
        let url = format!("http://{}", process.address("Listening on "));
        Ollama { url, version, process, _scratch: scratch }
    }

    /// Unloads every model. The next request loads it with empty caches. From there on, the same requests in the
    /// same order get exactly the same responses, with one slot.
    pub(crate) fn unload(&self) {
        let loaded = || get(&self.url, "/api/ps").json()["models"].as_array().unwrap().clone();
        for model in loaded() {
            post(&self.url, "/api/generate", &json!({"model": model["model"], "keep_alive": 0}));
        }
        until(|| loaded().is_empty().then_some(()), || self.log());
    }

    /// The number of requests to `path` that it has answered, from its log.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let path = format!("\"{path}\"");
        self.process.log().lines().filter(|line| line.starts_with("[GIN]") && line.contains(&path)).count()
    }

    /// The number of requests to `path` that it has answered with `status`, from its log.
    pub(crate) fn answered(&self, path: &str, status: u16) -> usize {
        let (path, status) = (format!("\"{path}\""), format!("| {status} |"));
        let log = self.process.log();
        log.lines()
            .filter(|line| line.starts_with("[GIN]") && line.contains(&path) && line.contains(&status))
            .count()
    }

    /// Waits until its log has that many lines with each mark. Returns when each line was written.
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

/// A tree of hard links: the server adds and removes names, and does not modify existing files.
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
