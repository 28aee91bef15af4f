//! Loads of models are counted as loads and not as the requests that wait for them.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_simulate::{self as simulate, Simulator};

use crate::harness::*;

/// The loads with this cause.
fn loads(cause: &str) -> String {
    format!("model_loads_total{{upstream=\"gpu0\",model=\"sim:latest\",cause=\"{cause}\"}}")
}

const LOADED: &str = "model_loaded{upstream=\"gpu0\",model=\"sim:latest\"}";

/// A sidecar in front of an Ollama whose model takes a while to load. The models in memory are known soon.
async fn before() -> Sidecar {
    let (rate, tokens, parallel) = (0.0, 3, 8);
    let load_time = Duration::from_millis(800);
    let ollama = Simulator::bind(simulate::Config {
        rate,
        tokens,
        parallel,
        load_time,
        ..simulate::Config::default()
    });
    let ollama = ollama.unwrap();
    let mut config = config(ollama.addr());
    tokio::spawn(ollama.run(std::future::pending()));
    config.upstream.health_interval = Duration::from_millis(100);
    config.collectors.models = Some(Duration::from_millis(100));
    let sidecar = sidecar(config).await;
    sidecar.until("upstream_up{upstream=\"gpu0\"}", 1.0).await;
    sidecar
}

async fn ask(sidecar: &Sidecar, path: &str, body: &Value) {
    let client = reqwest::Client::new();
    let response = client.post(format!("http://{}{path}", sidecar.proxy)).json(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let _ = response.bytes().await.unwrap();
}

#[tokio::test]
async fn model_load_with_many_waiting_requests_counts_once() {
    let sidecar = before().await;
    let generate = json!({"model": "sim", "prompt": "x"});
    for (round, cause, count) in [(1, "first", 1.0), (2, "expired", 1.0), (3, "expired", 2.0)] {
        futures_util::future::join_all((0..8).map(|_| ask(&sidecar, "/api/generate", &generate))).await;
        sidecar.until(&loads(cause), count).await;
        sidecar.until(LOADED, 1.0).await;
        ask(&sidecar, "/api/generate", &generate).await;
        let all = ["first", "context", "options", "evicted", "expired", "restart"];
        let sum: f64 = all.iter().map(|cause| sidecar.value(&loads(cause))).sum();
        assert_eq!(sum, f64::from(round), "it is loaded");
        ask(&sidecar, "/api/generate", &json!({"model": "sim", "keep_alive": 0})).await;
        sidecar.until(LOADED, 0.0).await;
    }
}

#[tokio::test]
async fn model_load_that_no_response_reports_is_seen_in_memory() {
    let sidecar = before().await;
    // OpenAI's clients receive no durations.
    ask(
        &sidecar,
        "/v1/chat/completions",
        &json!({"model": "sim", "messages": [{"role": "user", "content": "x"}]}),
    )
    .await;
    sidecar.until(&loads("first"), 1.0).await;
    assert_eq!(sidecar.value("phase_seconds_count{model=\"sim:latest\",phase=\"load\"}"), 0.0);
}
