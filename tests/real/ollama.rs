//! The real Ollama, with models of a test's own.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use super::{
    answer::post,
    process::{Process, cache, scratch},
};

/// Generates and cannot embed. The settings that make its answers repeat are part of it.
pub(crate) const MODEL: &str = "talker";
/// Embeds and cannot generate.
pub(crate) const EMBEDDER: &str = "embedder";

pub(crate) struct Ollama {
    pub(crate) url: String,
    process: Process,
    _scratch: TempDir,
}

impl Ollama {
    /// Starts one that decodes `parallel` streams at once, with [`MODEL`] loaded. With 1, the same questions in
    /// the same order get the same answers: each slot has a cache, what is in it changes roundings, and a slot is
    /// free only some time after its stream has ended.
    pub(crate) fn start(parallel: usize) -> Ollama {
        let scratch = scratch();
        link(&cache("models"), &scratch.path().join("models"));
        let ollama = Ollama::serve(scratch, parallel);
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
    pub(crate) fn without_models() -> Ollama {
        Ollama::serve(scratch(), 1)
    }

    fn serve(scratch: TempDir, parallel: usize) -> Ollama {
        let mut command = Command::new(cache("bin/ollama"));
        command
            .arg("serve")
            .env("HOME", scratch.path())
            .env("OLLAMA_HOST", "127.0.0.1:0")
            .env("OLLAMA_MODELS", scratch.path().join("models"))
            .env("OLLAMA_NUM_PARALLEL", parallel.to_string());
        let process = Process::start(&mut command, scratch.path().join("ollama.log"));
        let url = format!("http://{}", process.address("Listening on "));
        Ollama { url, process, _scratch: scratch }
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
