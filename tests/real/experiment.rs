//! The bundled plans on two real Ollamas with real Python agents, shortened, to check their form and not their
//! figures.

use std::process::Command;

use streamgauge::experiment::recording::read;

use super::{
    ollama::{MODEL, Ollama},
    process::{cache, scratch},
    version::Version,
};

#[test]
#[ignore = "needs a real Ollama, and Python with httpx; tests/real/install.sh"]
fn first_phase_of_tr117_runs_on_two_ollamas_and_is_reported() {
    let (one, two) = (Ollama::start(Version::NEWEST, 2), Ollama::start(Version::NEWEST, 2));
    let folder = scratch();
    let recording = folder.path().join("recording");
    let streamgauge = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        command.env_clear();
        command
    };
    let run = |plan: &str, more: &[&str]| {
        let mut command = streamgauge();
        command.args(["experiment", "run", plan, "--model", MODEL, "--tokens", "12"]);
        command.args(["--upstream", &format!("one={}", one.url), "--upstream", &format!("two={}", two.url)]);
        command.arg("--output").arg(&recording).arg("--python").arg(cache("venv/bin/python")).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run("tr117-phase1", &["--repetitions", "1"]);
    let recorded = read(&recording).unwrap();
    assert_eq!(recorded.problems, []);
    // Six conditions: warm-up, together, and two agents alone.
    assert_eq!(recorded.recording.runs.len(), 24);
    for agent in &recorded.recording.agents {
        assert_eq!(agent.failure, None, "{agent:?}");
        assert!(agent.tokens.is_some_and(|tokens| tokens > 0) && agent.eval_duration.is_some(), "{agent:?}");
        assert!(agent.first_token.is_some_and(|first| first < agent.duration), "{agent:?}");
    }
    let environment = recorded.environment.unwrap();
    for name in ["one", "two"] {
        let upstream = &environment.upstreams[name];
        assert!(upstream.version.as_deref().is_some_and(|version| version.starts_with("0.")), "{upstream:?}");
        assert_eq!(upstream.models.len(), 1, "{upstream:?}");
    }
    assert!(environment.python.contains_key("httpx"), "{:?}", environment.python);
    let report = streamgauge().arg("report").arg(&recording).output().unwrap();
    let shown = String::from_utf8(report.stdout).unwrap();
    for condition in
        ["rust-unlike", "python-unlike", "rust-alike", "python-alike", "rust-sidecar", "python-sidecar"]
    {
        assert!(shown.contains(condition), "{shown}");
    }
}
