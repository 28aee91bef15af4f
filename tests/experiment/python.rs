//! Python agents against the simulator, with a real Python.

use std::{env, path::PathBuf};

use streamgauge::{
    analysis::{Probe, Settings, analyse},
    experiment::recording::read,
};
use streamgauge_simulate::Config;

use super::ollama::{Place, assert_done, everything, simulator};

const CONDITIONS: &str = r#"
repetitions = 2
[[condition]]
name = "plain"
language = "python"
count = 2
[[condition]]
name = "uvloop"
language = "python"
uvloop = true
orjson = true
count = 2
solo = false
[[condition]]
name = "batches"
language = "python"
batch = "50ms"
count = 2
solo = false
[[condition]]
name = "buffer"
language = "python"
read_buffer = 65536
count = 2
solo = false
[[condition]]
name = "processes"
language = "python"
processes = true
count = 2
solo = false
[[condition]]
name = "paced"
language = "python"
pace = 60
solo = false
[[condition]]
name = "leaky"
language = "python"
leaky_pace = 60
solo = false
"#;

/// The interpreter that `tests/real/install.sh` installs.
fn python() -> String {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    cache.join("streamgauge/venv/bin/python").to_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs Python with httpx, uvloop and orjson; tests/real/install.sh"]
fn python_agent_with_every_option_is_recorded_as_rust_agent() {
    let url = simulator(Config { rate: 150.0, ..Config::default() });
    let place = Place::new(&url, 60, CONDITIONS);
    assert_done(&place.run(&["--python", &python()]));
    let recorded = read(&place.recording()).unwrap();
    assert_eq!(recorded.problems, []);
    let recording = &recorded.recording;
    for agent in &recording.agents {
        assert_eq!((agent.failure.as_deref(), agent.tokens), (None, Some(60)), "{agent:?}");
        assert!(agent.cpu.is_some_and(|cpu| cpu > 0.0) && agent.first_token.is_some());
    }
    for probe in [Probe::Schedule, Probe::Yield] {
        assert!(recording.lag.iter().any(|sample| sample.probe == probe));
    }
    let mean = |condition: &str, of: &dyn Fn(u32) -> f64| {
        let runs: Vec<u32> =
            recording.runs.iter().filter(|run| run.condition == condition).map(|run| run.id).collect();
        runs.iter().map(|run| of(*run)).sum::<f64>() / runs.len() as f64
    };
    let chunks = |run: u32| recording.chunks.iter().filter(|chunk| chunk.run == run).count() as f64;
    let records = |run: u32| {
        recording.chunks.iter().filter(|chunk| chunk.run == run).map(|chunk| f64::from(chunk.records)).sum()
    };
    let duration = |run: u32| {
        recording
            .agents
            .iter()
            .filter(|agent| agent.run == run)
            .map(|agent| agent.duration)
            .fold(0.0, f64::max)
    };
    for condition in ["uvloop", "batches", "buffer", "processes"] {
        assert_eq!(mean(condition, &records), 2.0 * 61.0, "{condition}");
    }
    assert_eq!(mean("uvloop", &chunks), 2.0 * 61.0);
    assert!(mean("batches", &chunks) < 40.0);
    // The whole response fits into the buffer, which is written in one piece at the end.
    assert!(mean("buffer", &chunks) <= 4.0);
    assert!(mean("paced", &duration) >= 59.0 / 60.0);
    assert!(mean("leaky", &duration) < 59.0 / 60.0, "it lets more than 60 a second through");
    assert!(!everything(&place.recording()).contains("nobody keeps"));
    let versions = recorded.environment.as_ref().unwrap().python.clone();
    for package in ["python", "httpx", "uvloop", "orjson"] {
        assert!(versions.contains_key(package), "{versions:?}");
    }
    // The times of two processes are on the same clock: nothing happened before its run began.
    for agent in &recording.agents {
        let run = recording.runs.iter().find(|run| run.id == agent.run).unwrap();
        assert!(agent.started >= run.started && agent.started < run.started + 0.5, "{agent:?} {run:?}");
    }
    let quick = Settings { resamples: 9, ..Settings::default() };
    assert!(analyse(recording, &quick).condition("plain").unwrap().truth.is_some());
}
