//! The official clients: what they get through us is what they get directly, and counted to the token.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    direct::Direct,
    ollama::{EMBEDDER, MODEL, Ollama},
    process::cache,
    sidecar::Sidecar,
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

/// What a client prints, with a key or without.
pub(crate) fn run(client: &str, arguments: &[&str], key: Option<&str>) -> Value {
    let output = program(client).args(arguments).envs(key.map(|key| ("KEY", key))).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client} at {}: {said}", arguments[0]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What servers told a client in all of these runs.
pub(crate) fn told(runs: &[Value], sum: &str) -> f64 {
    runs.iter().map(|run| run[sum].as_u64().unwrap() as f64).sum()
}

fn gets_through_us_what_it_gets_directly(client: &str) {
    let ollama = Ollama::start(1);
    let ask = |url: &str| run(client, &[url, MODEL, EMBEDDER], None);
    let mut direct = Direct::new(|| ask(&ollama.url));
    let sidecar = Sidecar::start(&ollama);
    let through = direct.agrees(client, Value::clone, || ask(&sidecar.url));
    in_fewer_pieces_it_is_the_same(client, &ollama, &mut direct);

    let told = |sum: &str| told(&through, sum);
    assert!(told("prompt_tokens") > 0.0 && told("output_tokens") > 0.0, "{through:?}");
    sidecar.until("tokens_total", &[r#"kind="prompt""#], told("prompt_tokens"));
    sidecar.until("tokens_total", &[r#"kind="output""#], told("output_tokens"));
    assert_eq!(sidecar.sum("requests_total", &[r#"outcome="client_abort""#]), 0.0, "{}", sidecar.metrics());
}

/// Streams that come in fewer pieces, and of fewer records, are the same to whoever puts them together.
fn in_fewer_pieces_it_is_the_same(client: &str, ollama: &Ollama, direct: &mut Direct<impl Fn() -> Value>) {
    let ask = |url: &str| run(client, &[url, MODEL, EMBEDDER], None);
    let coalesce = ("STREAMGAUGE_SHAPING__COALESCE", "{ delay = \"500ms\", bytes = \"4KiB\" }");
    let coalesced = Sidecar::start_with(ollama, &[coalesce]);
    direct.agrees(&format!("{client}: coalesced"), Value::clone, || ask(&coalesced.url));
    drop(coalesced);
    let merged = Sidecar::start_with(ollama, &[coalesce, ("STREAMGAUGE_SHAPING__MERGE", "true")]);
    direct.agrees(&format!("{client}: merged"), assembled, || ask(&merged.url));
    let [came, left] = ["in", "out"].map(|way| merged.sum(&format!("shaping_records_{way}_total"), &[]));
    assert!(left < came, "{left} of {came}");
}

/// The answers with each stream as the text that it makes and the last of its records.
fn assembled(answers: &Value) -> Value {
    const TEXTS: [&str; 5] =
        ["/message/content", "/message/thinking", "/response", "/choices/0/delta/content", "/choices/0/text"];
    let mut answers = answers.clone();
    for (step, answer) in answers["answers"].as_object_mut().unwrap() {
        let Value::Array(records) = answer else { continue };
        if !step.ends_with("stream") {
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

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn the_python_client_gets_what_it_gets_directly() {
    gets_through_us_what_it_gets_directly("python_ollama.py");
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn the_javascript_client_gets_what_it_gets_directly() {
    gets_through_us_what_it_gets_directly("js_ollama.mjs");
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn the_openai_client_gets_what_it_gets_directly() {
    gets_through_us_what_it_gets_directly("python_openai.py");
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn the_javascript_openai_client_gets_what_it_gets_directly() {
    gets_through_us_what_it_gets_directly("js_openai.mjs");
}
