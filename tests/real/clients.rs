//! The official clients: their results equal the direct ones, and the tokens are counted exactly.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    direct::Direct,
    ollama::{EMBEDDER, MODEL, Ollama},
    process::cache,
    sidecar::Sidecar,
    version::{Version, on_every_ollama, on_llama_server},
};

pub(crate) fn program(client: &str) -> Command {
    let path = format!("tests/real/clients/{client}");
    let mut command = if client.ends_with(".py") {
        Command::new(cache("venv/bin/python"))
    } else {
        let mut node = Command::new("node");
        node.env("NODE_PATH", cache("node/node_modules"));
        node
    };
    command.arg(path).env("NO_PROXY", "*");
    command
}

/// The output of a client, with a key or without.
pub(crate) fn run(client: &str, arguments: &[&str], key: Option<&str>) -> Value {
    let output = program(client).args(arguments).envs(key.map(|key| ("KEY", key))).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client} at {}: {said}", arguments[0]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The token counts that servers reported to a client in all of these runs.
pub(crate) fn told(runs: &[Value], sum: &str) -> f64 {
    runs.iter().map(|run| run[sum].as_u64().unwrap() as f64).sum()
}

/// The arguments of a client.
pub(crate) fn arguments<'a>(client: &str, url: &'a str) -> Vec<&'a str> {
    // Anthropic's API has no embeddings.
    if client.contains("anthropic") { vec![url, MODEL] } else { vec![url, MODEL, EMBEDDER] }
}

fn gets_through_us_what_it_gets_directly(version: Version, client: &str) {
    let ollama = Ollama::start(version, 1);
    let ask = |url: &str| run(client, &arguments(client, url), None);
    let direct = Direct::new(&ollama, || ask(&ollama.url));
    answers_by_every_route(version, client, &direct.answers["answers"]);
    let sidecar = Sidecar::start(&ollama);
    let through = direct.agrees(client, Value::clone, || ask(&sidecar.url));
    in_fewer_pieces_it_is_the_same(client, &ollama, &direct);

    for (kind, sum) in
        [("prompt", "prompt_tokens"), ("prompt_cached", "cached_tokens"), ("output", "output_tokens")]
    {
        let told = through[sum].as_u64().unwrap() as f64;
        if kind == "prompt_cached" {
            // Reported since 0.34. Ollama's client for Python drops fields that it does not know.
            if version < Version::V0_34_3 || client == "python_ollama.py" {
                continue;
            }
        }
        assert!(told > 0.0, "{kind}: {through}");
        sidecar.until("tokens_total", &[&format!("kind=\"{kind}\"")], told);
    }
    assert_eq!(sidecar.sum("requests_total", &[r#"outcome="client_abort""#]), 0.0, "{}", sidecar.metrics());
}

/// The routes that came after 0.12 work in newer versions and are missing in 0.12.
fn answers_by_every_route(version: Version, client: &str, answers: &Value) {
    for (step, answer) in answers.as_object().unwrap() {
        let is_refused =
            step.contains("missing") || (step.starts_with("responses") && !version.runs_llama_server());
        let status = is_refused.then_some(404);
        // A finished response has a status too, which is a word.
        assert_eq!(
            answer["status"].as_u64().filter(|status| *status >= 400),
            status,
            "{client}: {step}: {answer}"
        );
    }
}

/// Streams in fewer pieces and with fewer records give the same assembled result.
fn in_fewer_pieces_it_is_the_same(client: &str, ollama: &Ollama, direct: &Direct<'_>) {
    let ask = |url: &str| run(client, &arguments(client, url), None);
    let coalesce = ("STREAMGAUGE_SHAPING__COALESCE", "{ delay = \"500ms\", bytes = \"4KiB\" }");
    let coalesced = Sidecar::start_with(ollama, &[coalesce]);
    direct.agrees(&format!("{client}: coalesced"), Value::clone, || ask(&coalesced.url));
    let held = coalesced.sum("shaping_delay_seconds_total", &[r#"kind="coalesce""#]);
    assert!(held > 0.0, "{client}: nothing was held");
    drop(coalesced);
    let merged = Sidecar::start_with(ollama, &[coalesce, ("STREAMGAUGE_SHAPING__MERGE", "true")]);
    let seen = direct.agrees(&format!("{client}: merged"), assembled, || ask(&merged.url));
    let [came, left] = ["in", "out"].map(|way| merged.sum(&format!("shaping_records_{way}_total"), &[]));
    if client.contains("anthropic") {
        // Their records are events that refer to one another, and pass unchanged.
        assert_eq!((&seen, left), (&direct.answers, came), "{client}");
    } else {
        assert_ne!(seen, direct.answers, "{client}: nothing was merged");
        assert!(left < came, "{client}: {left} of {came}");
    }
}

/// The responses with each stream as its assembled text and its last record.
fn assembled(answers: &Value) -> Value {
    const TEXTS: [&str; 5] =
        ["/message/content", "/message/thinking", "/response", "/choices/0/delta/content", "/choices/0/text"];
    let mut answers = answers.clone();
    for (step, answer) in answers["answers"].as_object_mut().unwrap() {
        let Value::Array(records) = answer else { continue };
        // These events refer to one another, and pass unchanged.
        if !step.ends_with("stream") || step.starts_with("responses") || step.starts_with("message") {
            continue;
        }
        let texts = TEXTS.map(|place| {
            let said = records.iter().filter_map(|record| record.pointer(place)?.as_str());
            said.collect::<String>()
        });
        *answer = json!({"texts": texts, "last": records.last()});
    }
    answers
}

fn python_ollama_client_gets_the_same_as_directly(version: Version) {
    gets_through_us_what_it_gets_directly(version, "python_ollama.py");
}

fn javascript_ollama_client_gets_the_same_as_directly(version: Version) {
    gets_through_us_what_it_gets_directly(version, "js_ollama.mjs");
}

fn python_openai_client_gets_the_same_as_directly(version: Version) {
    gets_through_us_what_it_gets_directly(version, "python_openai.py");
}

fn javascript_openai_client_gets_the_same_as_directly(version: Version) {
    gets_through_us_what_it_gets_directly(version, "js_openai.mjs");
}

mod anthropic {
    use super::*;

    fn python_anthropic_client_gets_the_same_as_directly(version: Version) {
        gets_through_us_what_it_gets_directly(version, "python_anthropic.py");
    }

    fn javascript_anthropic_client_gets_the_same_as_directly(version: Version) {
        gets_through_us_what_it_gets_directly(version, "js_anthropic.mjs");
    }

    on_llama_server! {
        python_anthropic_client_gets_the_same_as_directly,
        javascript_anthropic_client_gets_the_same_as_directly,
    }
}

on_every_ollama! {
    python_ollama_client_gets_the_same_as_directly,
    javascript_ollama_client_gets_the_same_as_directly,
    python_openai_client_gets_the_same_as_directly,
    javascript_openai_client_gets_the_same_as_directly,
}
