//! Names that state where a model runs, Ollama's cloud, and the account there.

use futures_util::StreamExt;
use serde_json::{Value, json};
use streamgauge_simulate::{Cloud, Config, OllamaVersion};

use super::harness::{lines, quick, run, slow};

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "x"}], "prompt": "x", "max_tokens": 9})
}

#[tokio::test]
async fn cloud_answers_under_the_base_name_with_several_records_in_a_chunk() {
    let sim = run(Config { rate: 200.0, jitter: 0.0, ..quick() });
    for (name, base) in [("big:cloud", "big"), ("big:120b-cloud", "big:120b"), ("sim:7b:cloud", "sim:7b")] {
        let response = sim.post("/api/chat", &chat(name)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let chunks: Vec<String> = response
            .bytes_stream()
            .map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap())
            .collect()
            .await;
        assert!(chunks.len() <= 3, "{chunks:?}");
        let records = lines(&chunks.concat());
        assert_eq!((records.len(), &records[0]["model"]), (9, &json!(base)));
    }
    assert_eq!((sim.truth.cloud(), sim.truth.max_decoding()), (3, 0), "it is not this machine's work");
    assert_eq!(sim.get("/api/ps").await["models"], json!([]));
}

#[tokio::test]
async fn cloud_takes_no_slot() {
    let sim = run(Config { parallel: 1, max_queue: 0, ..slow() });
    let here = sim.post("/api/generate", &chat("sim")).send().await.unwrap();
    let there = sim.post("/api/generate", &chat("sim:cloud")).send().await.unwrap();
    assert_eq!((here.status().as_u16(), there.status().as_u16()), (200, 200));
    assert_eq!((sim.truth.decoding(), sim.truth.started()), (1, 2));
}

#[tokio::test]
async fn local_suffix_selects_local_model_and_is_repeated_as_requested() {
    let sim = run(quick());
    for name in ["sim:local", "sim:latest:local", "SIM:LATEST:Local"] {
        let body = sim.text("/api/chat", &chat(name)).await;
        assert_eq!(lines(&body)[0]["model"], name);
    }
    let response = sim.post("/api/chat", &chat("sim:local:cloud")).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("use either :local or :cloud, not both"));
    let old = run(Config { version: OllamaVersion::V0_12, ..quick() });
    for name in ["sim:local", "sim:cloud"] {
        assert_eq!(old.post("/api/chat", &chat(name)).send().await.unwrap().status(), 404, "{name}");
    }
}

#[tokio::test]
async fn cloud_that_does_not_answer_gets_api_error_on_every_route() {
    for (cloud, status, said) in [
        (Cloud::SignedOut, 401, "unauthorized"),
        (Cloud::Unreachable, 502, "no such host"),
        (Cloud::Disabled, 403, "ollama cloud is disabled: remote model is unavailable"),
    ] {
        let sim = run(Config { cloud, ..quick() });
        for path in ["/api/generate", "/api/chat", "/v1/chat/completions", "/v1/completions", "/v1/messages"]
        {
            let response = sim.post(path, &chat("big:cloud")).send().await.unwrap();
            assert_eq!(response.status(), status, "{cloud} {path}");
            let error: Value = response.json().await.unwrap();
            assert!(error["error"].as_str().unwrap().contains(said), "{cloud} {path}: {error}");
            assert_eq!(error["signin_url"].is_string(), cloud == Cloud::SignedOut);
        }
        assert_eq!(sim.truth.started(), 0);
    }
}

#[tokio::test]
async fn account_is_served_unless_cloud_is_unreachable() {
    for (cloud, me, out) in [
        (Cloud::Answers, 200, 200),
        (Cloud::SignedOut, 401, 401),
        (Cloud::Unreachable, 503, 500),
        (Cloud::Disabled, 503, 500),
    ] {
        let sim = run(Config { cloud, ..quick() });
        let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
        assert_eq!(status(sim.client.post(sim.url("/api/me"))).await, me, "{cloud}");
        assert_eq!(status(sim.client.post(sim.url("/api/signout"))).await, out, "{cloud}");
        assert_eq!(status(sim.client.delete(sim.url("/api/user/keys/abc"))).await, out, "{cloud}");
        let disabled = cloud == Cloud::Disabled;
        assert_eq!(sim.get("/api/status").await["cloud"]["disabled"], disabled);
        let search = status(sim.post("/api/experimental/web_search", &json!({"query": "x"}))).await;
        assert_eq!(search == 200, cloud == Cloud::Answers, "{cloud}");
        assert!(sim.get("/api/experimental/model-recommendations").await["recommendations"].is_array());
    }
}
