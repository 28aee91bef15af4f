//! A client that disconnects ends the generation in Ollama.

use serde_json::{Value, json};

use super::{
    answer::{curl, post},
    ollama::{MODEL, Ollama},
    process::until,
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

/// Runs for minutes.
fn endless() -> Value {
    json!({
        "model": MODEL,
        "prompt": "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
        "raw": true,
        "options": {"num_predict": 18000, "stop": []},
    })
}

fn generation_ends_when_its_client_leaves(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let url = format!("{}/api/generate", sidecar.url);
    let before = ollama.answered("/api/generate", 200);
    let mut client =
        curl(&["--data-binary", &endless().to_string(), "--output", "/dev/null", &url]).spawn().unwrap();
    let content = || sidecar.sum("records_total", &[r#"kind="content""#]);
    let live = || sidecar.page("/streams").text();
    until(|| live().contains(MODEL).then_some(()), live);
    until(
        || (sidecar.sum("time_to_first_token_seconds_count", &[]) > 0.0).then_some(()),
        || sidecar.metrics(),
    );
    assert_eq!(ollama.answered("/api/generate", 200), before, "it ended by itself");
    client.kill().unwrap();
    client.wait().unwrap();

    sidecar.until("requests_total", &[r#"outcome="client_abort""#], 1.0);
    until(|| (ollama.answered("/api/generate", 200) == before + 1).then_some(()), || ollama.log());
    // The only slot is free.
    let next = post(&sidecar.url, "/api/generate", &json!({"model": MODEL, "prompt": "Hello."}));
    assert!(next.told().output > 0, "{next:?}");
    assert!(content() < 18_000.0);
    assert_eq!(sidecar.sum("requests_in_flight", &[]), 0.0);
}

fn request_waiting_for_slot_ends_when_its_client_leaves(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let url = format!("{}/api/generate", sidecar.url);
    let body = endless().to_string();
    let start = || curl(&["--data-binary", &body, "--output", "/dev/null", &url]).spawn().unwrap();
    let in_flight = |wanted| sidecar.until("requests_in_flight", &[r#"route="generate""#], wanted);
    let mut first = start();
    until(
        || (sidecar.sum("time_to_first_token_seconds_count", &[]) > 0.0).then_some(()),
        || sidecar.metrics(),
    );
    let mut waiting = start();
    in_flight(2.0);
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    in_flight(1.0);
    first.kill().unwrap();
    first.wait().unwrap();
    in_flight(0.0);
    sidecar.until("requests_total", &[r#"outcome="client_abort""#], 2.0);
    assert_eq!(sidecar.sum("time_to_first_token_seconds_count", &[]), 1.0, "the second got nothing");
    let next = post(&sidecar.url, "/api/generate", &json!({"model": MODEL, "prompt": "Hello."}));
    assert!(next.told().output > 0, "{next:?}");
}

on_every_ollama! {
    generation_ends_when_its_client_leaves,
    request_waiting_for_slot_ends_when_its_client_leaves,
}
