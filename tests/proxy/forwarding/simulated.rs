//! In front of the simulated Ollama, responses equal the direct ones, including failures.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use streamgauge::shaping::OpenAiUsage;
use streamgauge_simulate::{Config, Simulator};

use crate::harness::*;

fn quick() -> Config {
    Config { rate: 0.0, load_time: Duration::ZERO, prefill_rate: 0.0, tokens: 20, ..Config::default() }
}

/// Only times and ids differ between two responses.
fn settled(text: &str) -> String {
    let moving = [
        "created_at",
        "completed_at",
        "total_duration",
        "load_duration",
        "prompt_eval_duration",
        "eval_duration",
        "id",
        "created",
    ];
    text.lines()
        .map(|line| {
            let (prefix, data) = line.strip_prefix("data: ").map_or(("", line), |data| ("data: ", data));
            let Ok(mut value) = serde_json::from_str::<serde_json::Value>(data) else {
                return line.to_owned();
            };
            settle(&mut value, &moving);
            format!("{prefix}{value}")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn settle(value: &mut serde_json::Value, moving: &[&str]) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| !moving.contains(&name.as_str()) && name != "created_at");
            fields.values_mut().for_each(|value| settle(value, moving));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|value| settle(value, moving)),
        _ => {}
    }
}

#[tokio::test]
async fn simulated_dialect_passes_unchanged_and_its_tokens_add_up() {
    let simulator = Simulator::bind(quick()).unwrap();
    let direct = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    let sidecar = sidecar(config(direct)).await;
    let client = reqwest::Client::new();
    let ask = async |to: std::net::SocketAddr, path: &str, body: &serde_json::Value| {
        let response = client.post(format!("http://{to}{path}")).json(body).send().await.unwrap();
        (response.status(), settled(&response.text().await.unwrap()))
    };
    let messages = json!([{"role": "user", "content": "why is the sky blue"}]);
    let mut counted = 0.0;
    for (path, stream, body, tokens) in [
        ("/api/generate", true, json!({"model": "sim", "prompt": "why"}), 20.0),
        ("/api/generate", false, json!({"model": "sim", "prompt": "why"}), 20.0),
        ("/api/chat", true, json!({"model": "sim", "messages": messages}), 20.0),
        (
            "/v1/chat/completions",
            true,
            json!({"model": "sim", "messages": messages, "stream_options": {"include_usage": true}}),
            20.0,
        ),
        ("/v1/chat/completions", false, json!({"model": "sim", "messages": messages}), 20.0),
        (
            "/v1/completions",
            true,
            json!({"model": "sim", "prompt": "why", "stream_options": {"include_usage": true}}),
            20.0,
        ),
        ("/v1/responses", true, json!({"model": "sim", "input": "why"}), 20.0),
        ("/v1/messages", true, json!({"model": "sim", "max_tokens": 20, "messages": messages}), 20.0),
        ("/api/embed", false, json!({"model": "sim", "input": "why"}), 0.0),
        ("/v1/embeddings", false, json!({"model": "sim", "input": "why"}), 0.0),
        ("/api/show", false, json!({"model": "sim"}), 0.0),
    ] {
        let mut body = body;
        body["stream"] = stream.into();
        // The first request fills the prompt cache.
        ask(direct, path, &body).await;
        let expected = ask(direct, path, &body).await;
        assert_eq!(ask(sidecar.proxy, path, &body).await, expected, "{path}");
        assert_eq!(expected.0, 200, "{path}: {}", expected.1);
        counted += tokens;
        sidecar.until("tokens_total{model=\"sim:latest\",kind=\"output\"}", counted).await;
    }
    for path in ["/api/tags", "/api/ps", "/api/version", "/v1/models", "/", "/nothing"] {
        let get = async |to| {
            let response = client.get(format!("http://{to}{path}")).send().await.unwrap();
            (response.status(), settled(&response.text().await.unwrap()).replace("expires_at", ""))
        };
        let (expected, seen) = (get(direct).await, get(sidecar.proxy).await);
        assert_eq!(seen.0, expected.0, "{path}");
        if path != "/api/ps" {
            assert_eq!(seen.1, expected.1, "{path}");
        }
    }
}

#[tokio::test]
async fn simulated_fault_has_its_outcome_and_affects_no_other_stream() {
    let simulator = Simulator::bind(Config { seed: 7, ..quick() }).unwrap();
    let direct = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    let sidecar = sidecar(config(direct)).await;
    let client = reqwest::Client::new();
    let mut outcomes = BTreeMap::<&str, f64>::new();
    for (fault, outcome) in [
        ("split", "complete"),
        ("batch", "complete"),
        ("stall:20ms", "complete"),
        ("slow-head:20ms", "complete"),
        ("garbage", "complete"),
        ("truncate", "truncated"),
        ("error", "in_band_error"),
        ("refuse", "upstream_error"),
        ("reset", "upstream_error"),
    ] {
        let ask = async |to: std::net::SocketAddr| {
            let request = client.post(format!("http://{to}/api/generate")).header("x-simulate-fault", fault);
            let response = request.json(&json!({"model": "sim", "prompt": "why"})).send().await.unwrap();
            (response.status(), response.text().await.map(|text| settled(&text)).ok())
        };
        // The first request fills the prompt cache.
        ask(direct).await;
        let (direct, through) = (ask(direct).await, ask(sidecar.proxy).await);
        assert_eq!(through.0, direct.0, "{fault}");
        assert_eq!((direct.1.is_none(), through.1.is_none()), (fault == "reset", fault == "reset"));
        if ["truncate", "error"].contains(&fault) {
            // The position of the fault is random for each request. Everything before it is the same.
            let (direct, through) = (direct.1.unwrap_or_default(), through.1.unwrap_or_default());
            let told = |text: &str| text.lines().filter(|line| !line.contains("error")).count();
            let both = told(&direct).min(told(&through));
            assert!(
                both > 0 && direct.lines().take(both).eq(through.lines().take(both)),
                "{fault}: {through}"
            );
        } else {
            assert_eq!(through.1, direct.1, "{fault}");
        }
        let count = outcomes.entry(outcome).or_default();
        *count += 1.0;
        sidecar.until(&ended("generate", "sim:latest", outcome), *count).await;
    }
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}", 0.0).await;
}

#[tokio::test]
async fn usage_not_requested_by_client_leaves_no_trace() {
    let simulator = Simulator::bind(quick()).unwrap();
    let direct = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    let mut config = config(direct);
    config.shaping.openai_usage = OpenAiUsage::InjectAndStrip;
    let sidecar = sidecar(config).await;
    let client = reqwest::Client::new();
    for (count, path, body) in [
        (1.0, "/v1/completions", json!({"model": "sim", "prompt": "why", "stream": true})),
        (
            2.0,
            "/v1/chat/completions",
            json!({"model": "sim", "messages": [{"role": "user", "content": "why"}], "stream": true}),
        ),
    ] {
        let ask = async |to: std::net::SocketAddr| {
            let response = client.post(format!("http://{to}{path}")).json(&body).send().await.unwrap();
            settled(&response.text().await.unwrap())
        };
        let expected = ask(direct).await;
        assert!(expected.contains("[DONE]") && !expected.contains("usage"), "{expected}");
        assert_eq!(ask(sidecar.proxy).await, expected, "{path}");
        sidecar.until("tokens_total{model=\"sim:latest\",kind=\"output\"}", 20.0 * count).await;
    }
}

#[tokio::test]
async fn hidden_queue_is_measured() {
    let slow = Config { rate: 100.0, tokens: 30, parallel: 1, jitter: 0.0, ..quick() };
    let simulator = Simulator::bind(slow).unwrap();
    let direct = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    let sidecar = sidecar(config(direct)).await;
    let client = reqwest::Client::new();
    let ask = async || {
        let request = client.post(format!("http://{}/api/generate", sidecar.proxy));
        request.json(&json!({"model": "sim", "prompt": "why"})).send().await.unwrap().text().await.unwrap()
    };
    tokio::join!(ask(), ask());
    sidecar.until(&ended("generate", "sim:latest", "complete"), 2.0).await;
    // One request waits for the other's 30 tokens at 100 per second.
    let queue = sidecar.value("phase_seconds_sum{model=\"sim:latest\",phase=\"queue\"}");
    assert!((0.25..0.6).contains(&queue), "{queue}");
}
