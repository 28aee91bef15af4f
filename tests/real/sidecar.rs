//! The sidecar's binary in front of an Ollama.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::{
    answer::get,
    ollama::Ollama,
    process::{Process, scratch, until},
};

pub(crate) struct Sidecar {
    pub(crate) url: String,
    /// `HOST:PORT`.
    pub(crate) admin: String,
    _process: Process,
    _scratch: TempDir,
}

impl Sidecar {
    pub(crate) fn start(ollama: &Ollama) -> Sidecar {
        Sidecar::start_with(ollama, &[])
    }

    /// With settings as environment variables.
    pub(crate) fn start_with(ollama: &Ollama, settings: &[(&str, &str)]) -> Sidecar {
        let upstream = format!("[[upstream]]\nname = \"real\"\nurl = \"{}\"\n", ollama.url);
        Sidecar::of(&upstream, settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    /// With a file of these settings, and with environment variables.
    pub(crate) fn of(settings: &str, environment: impl IntoIterator<Item = (String, String)>) -> Sidecar {
        let scratch = scratch();
        let file = scratch.path().join("sidecar.toml");
        let listen = "[proxy]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
        fs::write(&file, format!("{listen}{settings}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        command.arg("serve").arg("--config").arg(&file).env_clear().envs(environment);
        let process = Process::start(&mut command, scratch.path().join("sidecar.log"));
        let (proxy, admin) = (process.address("proxy="), process.address("admin="));
        let sidecar = Sidecar { url: format!("http://{proxy}"), admin, _process: process, _scratch: scratch };
        until(|| (sidecar.page("/readyz").status == 200).then_some(()), || "not ready".to_owned());
        sidecar
    }

    pub(crate) fn page(&self, path: &str) -> super::answer::Answer {
        get(&format!("http://{}", self.admin), path)
    }

    pub(crate) fn metrics(&self) -> String {
        self.page("/metrics").text()
    }

    /// The sum over every series of `streamgauge_NAME` with all of `labels` (`key="value"`).
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.metrics(), name, labels)
    }

    /// Waits until that sum is `value`, since an outcome is recorded just after the last byte.
    pub(crate) fn until(&self, name: &str, labels: &[&str], value: f64) {
        let reached = || ((self.sum(name, labels) - value).abs() < 1e-9).then_some(());
        until(reached, || format!("no {value} of {name}{labels:?} in\n{}", self.metrics()));
    }
}

fn sum(exposition: &str, name: &str, labels: &[&str]) -> f64 {
    let name = format!("streamgauge_{name}");
    exposition
        .lines()
        .filter(|line| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}
