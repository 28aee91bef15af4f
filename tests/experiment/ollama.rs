//! A simulated Ollama on its own thread, and the binary in front of it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::Duration,
};

use streamgauge_simulate::{Config, Simulator};
use tempfile::TempDir;

/// Starts a simulator that runs until the test ends. Returns its URL.
pub(crate) fn simulator(config: Config) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let guard = runtime.enter();
    let bound = Simulator::bind(Config { load_time: Duration::ZERO, ..config }).unwrap();
    let url = format!("http://{}", bound.addr());
    drop(guard);
    thread::spawn(move || runtime.block_on(bound.run(std::future::pending())));
    url
}

/// A folder with a plan.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) plan: PathBuf,
}

impl Place {
    /// A plan with one agent that uses this Ollama, and with these conditions.
    pub(crate) fn new(url: &str, tokens: u32, rest: &str) -> Place {
        let folder = TempDir::new().unwrap();
        let plan = folder.path().join("plan.toml");
        let text = format!(
            "name = \"try\"\nwarm_up = 0\npause = \"1ms\"\n{}\n[upstreams]\none = {url:?}\n[[agent]]\nname = \"writer\"\n\
             model = \"sim\"\nprompt = \"the prompt that nobody keeps\"\ntokens = {tokens}\n{}",
            rest.split_once("[[").map_or("", |(head, _)| head),
            rest.split_once("[[").map_or(String::new(), |(_, conditions)| format!("[[{conditions}")),
        );
        std::fs::write(&plan, text).unwrap();
        Place { folder, plan }
    }

    pub(crate) fn recording(&self) -> PathBuf {
        self.folder.path().join("recording")
    }

    /// Runs `streamgauge experiment run PLAN --output RECORDING …`.
    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = streamgauge(&["experiment", "run"]);
        command.arg(&self.plan).arg("--output").arg(self.recording()).args(more);
        command
    }

    pub(crate) fn run(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }
}

pub(crate) fn streamgauge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(arguments).env_clear();
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
pub(crate) fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// The contents of all files of a recording except the sidecars' configurations.
pub(crate) fn everything(folder: &Path) -> String {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}
