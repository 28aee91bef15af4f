//! The JSON files in which TR117's suite keeps its runs: `run_N.json` of the Python agents, and `run_N/metrics.json`
//! and `summary.json` of the Rust agents.

use std::{fs, path::Path};

use serde_json::Value;

use super::Reading;
use crate::analysis::{Agent, Language, Remedy};

/// The folder into which the Rust agents of TR117 write.
const OUTPUT: &str = "agent_output/";

/// A run as a JSON file describes it.
#[derive(Debug)]
pub(super) struct SuiteRun {
    pub(super) number: u32,
    /// Seconds.
    pub(super) wall: Option<f64>,
    pub(super) language: Language,
    pub(super) remedies: Vec<Remedy>,
    /// The agents. Their `run` is `number`, and their times start at 0.
    pub(super) agents: Vec<Agent>,
}

/// Whether the folder contains JSON files of runs.
pub(super) fn exists(folder: &Path) -> bool {
    !files(folder).is_empty() || summary(folder).is_some()
}

/// Returns the runs in the order of their numbers. A run that cannot be read is reported as a problem.
pub(super) fn read(reading: &mut Reading<'_>) -> Vec<SuiteRun> {
    let mut runs = Vec::new();
    for (number, name) in files(reading.folder) {
        let Some(value) = reading.json(&name) else { continue };
        match run(reading, number, &value) {
            Ok(run) => runs.push(run),
            Err(what) => {
                reading.problems.say(&name, None, "run", || format!("{what}: the run is left out"));
            }
        }
    }
    if let Some(name) = summary(reading.folder) {
        add_summary(reading, name, &mut runs);
    }
    runs.sort_by_key(|run| run.number);
    runs
}

/// Returns the number of each run that has a file, and the file's path below the folder.
fn files(folder: &Path) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for prefix in ["", OUTPUT] {
        let entries = fs::read_dir(folder.join(prefix)).into_iter().flatten().flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            let Some(rest) = name.strip_prefix("run_") else { continue };
            let number = |text: &str| text.parse::<u32>().ok();
            if let Some(number) = rest.strip_suffix(".json").and_then(number) {
                found.push((number, format!("{prefix}{name}")));
            } else if let Some(number) = number(rest) {
                let file = format!("{prefix}{name}/metrics.json");
                if folder.join(&file).is_file() {
                    found.push((number, file));
                }
            }
        }
    }
    found.sort();
    found
}

/// Returns the summary's path below the folder.
fn summary(folder: &Path) -> Option<&'static str> {
    ["agent_output/summary.json", "summary.json"].into_iter().find(|file| folder.join(file).is_file())
}

/// Reads a number that is not negative.
fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer)?.as_f64().filter(|value| *value >= 0.0)
}

fn seconds(value: &Value, name: &str) -> Option<f64> {
    number(value, &format!("{name}_s")).or_else(|| Some(number(value, &format!("{name}_ms"))? / 1e3))
}

fn run(reading: &mut Reading<'_>, run: u32, value: &Value) -> Result<SuiteRun, String> {
    let python = |agent: &Value| agent.get("metrics").is_some();
    let rust = |agent: &Value| agent.get("execution_time_s").is_some();
    let mut agents = Vec::new();
    let mut language = Language::Python;
    for (name, agent) in value.as_object().ok_or("it is not an object")? {
        let found = if python(agent) {
            by_python(agent)
        } else if rust(agent) {
            language = Language::Rust;
            by_rust(agent)
        } else {
            continue;
        };
        let found = found.ok_or_else(|| format!("agent {name} has no duration"))?;
        agents.push(Agent { run, agent: reading.agent(name.as_bytes()), role: name.clone(), ..found });
    }
    if agents.is_empty() {
        return Err("it has no agent".into());
    }
    let wall =
        seconds(value, "/concurrent_wall_time").or_else(|| seconds(value, "/summary/concurrent_wall_time"));
    let mut remedies = Vec::new();
    remedies.extend(number(value, "/read_buffer_size").map(|bytes| Remedy::ReadBuffer(bytes as u64)));
    // TR117's token bucket lets twice its rate through.
    remedies.extend(number(value, "/throttle_rate").map(Remedy::LeakyPace));
    Ok(SuiteRun { number: run, wall: wall.filter(|wall| *wall > 0.0), language, remedies, agents })
}

fn by_python(agent: &Value) -> Option<Agent> {
    let ollama = |name: &str| Some(number(agent, name)? / 1e9);
    Some(Agent {
        duration: seconds(agent, "/metrics/total_duration")?,
        first_token: seconds(agent, "/metrics/ttft"),
        tokens: number(agent, "/metrics/eval_count").map(|count| count as u64),
        eval_duration: ollama("/metrics/eval_duration"),
        prompt_eval_duration: ollama("/metrics/prompt_eval_duration"),
        ..Agent::default()
    })
}

/// Combines several requests that an agent sent one after another.
fn by_rust(agent: &Value) -> Option<Agent> {
    let sum = |name: &str| seconds(agent, &format!("/result/aggregate_metrics/{name}"));
    let tokens = number(agent, "/result/aggregate_metrics/total_tokens_generated");
    Some(Agent {
        model: agent.pointer("/config/model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        duration: seconds(agent, "/execution_time")?,
        first_token: sum("average_ttft"),
        tokens: tokens.map(|count| count as u64),
        eval_duration: sum("eval_duration"),
        prompt_eval_duration: sum("prompt_eval_duration"),
        load_duration: sum("load_duration"),
        ..Agent::default()
    })
}

/// Reads the runs that are in the summary and have no file of their own. The longer of the two agents lasts as long as
/// the run.
fn add_summary(reading: &mut Reading<'_>, file: &str, runs: &mut Vec<SuiteRun>) {
    let Some(value) = reading.json::<Value>(file) else { return };
    for row in value.get("runs").and_then(Value::as_array).into_iter().flatten() {
        let Some(run) = number(row, "/run_number").map(|run| run as u32) else { continue };
        if runs.iter().any(|known| known.number == run) {
            continue;
        }
        let wall = seconds(row, "/concurrent_wall_time");
        let Some((wall, speedup)) = wall.zip(number(row, "/concurrency_speedup")) else { continue };
        if !(1.0..=2.0).contains(&speedup) || wall <= 0.0 {
            reading.problems.say(file, None, "run", || {
                format!("run {run} has a speedup of {speedup}, which two agents cannot have: it is left out")
            });
            continue;
        }
        reading.problems.say(file, None, "calculated", || {
            format!(
                "the durations of run {run} are calculated from its speedup, because it has no metrics.json"
            )
        });
        let agents = [("longer", wall), ("shorter", (speedup - 1.0) * wall)]
            .into_iter()
            .zip(0..)
            .map(|((role, duration), agent)| Agent {
                run,
                agent,
                role: role.into(),
                duration,
                ..Agent::default()
            })
            .collect();
        runs.push(SuiteRun {
            number: run,
            wall: Some(wall),
            language: Language::Rust,
            remedies: Vec::new(),
            agents,
        });
    }
}
