//! A key that may use only some models.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge::{
    admission::{Limits, Models},
    upstream::UpstreamConfig,
};
use streamgauge_simulate::{self as simulate, Simulator};

use super::key;
use crate::harness::*;

fn simulated(models: &[&str]) -> std::net::SocketAddr {
    let simulator = Simulator::bind(simulate::Config {
        models: models.iter().map(|model| (*model).to_owned()).collect(),
        rate: 0.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        tokens: 3,
        ..simulate::Config::default()
    })
    .unwrap();
    let addr = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    addr
}

/// A sidecar in front of one upstream for each list of models. `alice` may use `a` and each `b`; `bob` may use all.
async fn guarded(upstreams: &[&[&str]]) -> Sidecar {
    let mut config = config(simulated(upstreams[0]));
    for (place, models) in upstreams.iter().enumerate().skip(1) {
        let url = format!("http://{}", simulated(models)).parse().unwrap();
        config.upstream.upstreams.push(UpstreamConfig::new(format!("gpu{place}"), url));
    }
    let mut alice = key("alice", "sesame", Limits::default());
    alice.models = Some(Models::of(["A", "b:*"]).unwrap());
    config.admission.keys = vec![alice, key("bob", "mellon", Limits::default())];
    config.admission.require_key = true;
    let names: Vec<_> = config.upstream.upstreams.iter().map(|one| one.name.clone()).collect();
    let sidecar = sidecar(config).await;
    for name in names {
        sidecar.until(&format!("upstream_up{{upstream=\"{name}\"}}"), 1.0).await;
    }
    sidecar
}

async fn ask(sidecar: &Sidecar, key: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = reqwest::Client::new()
        .request(method.parse().unwrap(), format!("http://{}{path}", sidecar.proxy))
        .bearer_auth(key)
        .body(body.to_owned());
    let response = soon(request.send()).await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, text.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default())
}

#[tokio::test]
async fn listed_model_is_served_and_any_other_is_not_found() {
    let sidecar = guarded(&[&["a", "b:1b", "secret"]]).await;
    for (path, model, status) in [
        ("/api/generate", "a", 200),
        ("/api/generate", "registry.ollama.ai/library/A:latest", 200),
        ("/api/chat", "b:1b", 200),
        ("/api/embed", "a", 200),
        ("/v1/chat/completions", "b:1b", 200),
        ("/api/show", "a", 200),
        ("/api/generate", "secret", 404),
        ("/api/generate", "SECRET:latest", 404),
        ("/api/chat", "secret", 404),
        ("/api/embed", "secret", 404),
        ("/api/show", "secret", 404),
        ("/api/pull", "secret", 404),
        ("/api/chat", "nowhere", 404),
        ("/v1/chat/completions", "secret", 404),
        ("/v1/messages", "secret", 404),
        ("/v1/rerank", "secret", 404),
    ] {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let body =
            json!({"model": model, "stream": false, "prompt": "Hi", "input": "Hi", "messages": messages});
        let (seen, answer) = ask(&sidecar, "sesame", "POST", path, &body.to_string()).await;
        assert_eq!(seen, status, "{path} {model}: {answer}");
        if status == 404 {
            let text = answer.pointer("/error/message").or(answer.get("error")).and_then(Value::as_str);
            assert!(
                text.is_some_and(|text| text.ends_with("not found: this key may not use it")),
                "{answer}"
            );
            let kind = answer.pointer("/error/type").and_then(Value::as_str);
            assert_eq!(kind, path.starts_with("/v1/").then_some("not_found_error"), "{answer}");
        }
    }
    let body = json!({"model": "secret", "prompt": "Hi"}).to_string();
    assert_eq!(ask(&sidecar, "mellon", "POST", "/api/generate", &body).await.0, 200);
    assert_eq!(ask(&sidecar, "sesame", "GET", "/v1/models/secret", "").await.0, 404);
    assert_eq!(ask(&sidecar, "sesame", "GET", "/v1/models/a", "").await.0, 200);
    assert_eq!(sidecar.value("admission_total{decision=\"refused\",reason=\"model\"}"), 11.0);
}

#[tokio::test]
async fn body_that_hides_its_model_is_refused() {
    let sidecar = guarded(&[&["a", "secret"]]).await;
    for (body, status) in [
        // As in Go, the last field counts, and case does not matter.
        (r#"{"model":"a","prompt":"Hi","MODEL":"secret"}"#, 404),
        (r#"{"model":"secret","prompt":"Hi","model":"a","stream":false}"#, 200),
        (r#"{"prompt":"Hi"}"#, 404),
        ("", 404),
        ("[]", 404),
        (r#"{"model":"a","prompt":"#, 200),
    ] {
        let (seen, answer) = ask(&sidecar, "sesame", "POST", "/api/generate", body).await;
        // The simulated Ollama answers a body that is cut with 400.
        let status = if body.ends_with(':') { 400 } else { status };
        assert_eq!(seen, status, "{body}: {answer}");
    }
    // The second model comes after the part that is always read.
    let long = "x".repeat(200 << 10);
    let body = format!(r#"{{"model":"a","prompt":"{long}","model":"secret"}}"#);
    assert_eq!(ask(&sidecar, "sesame", "POST", "/api/generate", &body).await.0, 404);
    let body = format!(r#"{{"model":"a","prompt":"{long}","stream":false}}"#);
    assert_eq!(ask(&sidecar, "sesame", "POST", "/api/generate", &body).await.0, 200);
}

#[tokio::test]
async fn body_that_cannot_be_checked_is_refused() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    let mut alice = key("alice", "sesame", Limits::default());
    alice.models = Some(Models::of(["a"]).unwrap());
    config.admission.keys = vec![alice];
    config.proxy.peek_limit = 1 << 10;
    config.proxy.read_ahead_budget = 0;
    let sidecar = sidecar(config).await;
    let body = format!(r#"{{"model":"a","prompt":"{}"}}"#, "x".repeat(64 << 10));
    let long = post_once("/api/generate", &body);
    let coded = post_once("/api/generate", r#"{"model":"a"}"#).replacen(
        "\r\n",
        "\r\nContent-Encoding: compress\r\n",
        1,
    );
    for request in [long, coded] {
        let request = request.replacen("\r\n", "\r\nAuthorization: Bearer sesame\r\n", 1);
        let seen = sidecar.exchange(&request).await;
        assert!(seen.starts_with("HTTP/1.1 413 ") && seen.contains("cannot be checked"), "{seen}");
    }
    upstream.was_not_asked();
}

#[tokio::test]
async fn route_whose_models_are_unseen_is_closed_to_key_with_models() {
    let sidecar = guarded(&[&["a", "secret"]]).await;
    for (method, path, body) in [
        ("POST", "/api/create", r#"{"model":"a","from":"secret"}"#),
        ("POST", "/api/copy", r#"{"source":"secret","destination":"a"}"#),
        ("POST", "/api/new", r#"{"model":"secret"}"#),
        ("POST", "//api/generate", r#"{"model":"secret"}"#),
    ] {
        assert_eq!(ask(&sidecar, "sesame", method, path, body).await.0, 403, "{path}");
    }
    let body = r#"{"source":"secret","destination":"copied"}"#;
    assert_eq!(ask(&sidecar, "mellon", "POST", "/api/copy", body).await.0, 200);
}

fn names(list: &Value) -> Vec<&str> {
    let entries = list.get("models").or(list.get("data")).and_then(Value::as_array).unwrap();
    let name = |entry: &Value| entry.get("name").or(entry.get("id")).and_then(Value::as_str).is_some();
    assert!(entries.iter().all(name), "{list}");
    let mut names: Vec<_> =
        entries.iter().filter_map(|entry| entry.get("name").or(entry.get("id"))?.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn lists_show_only_models_of_the_key() {
    for upstreams in [&[&["a", "b:1b", "secret"][..]][..], &[&["a", "secret"], &["b:1b", "hidden"]]] {
        let sidecar = guarded(upstreams).await;
        // Each model is loaded, so that `/api/ps` lists it.
        for model in upstreams.iter().copied().flatten() {
            let body = json!({"model": model, "prompt": "Hi", "stream": false}).to_string();
            assert_eq!(ask(&sidecar, "mellon", "POST", "/api/generate", &body).await.0, 200);
        }
        for path in ["/api/tags", "/v1/models", "/api/ps"] {
            let (status, list) = ask(&sidecar, "sesame", "GET", path, "").await;
            assert_eq!((status, names(&list)), (200, vec!["a:latest", "b:1b"]), "{path}");
            let (_, all) = ask(&sidecar, "mellon", "GET", path, "").await;
            let count = upstreams.iter().map(|models| models.len()).sum::<usize>();
            assert_eq!(names(&all).len(), count, "{path}");
        }
    }
}

#[tokio::test]
async fn list_is_not_forwarded_unfiltered_if_it_is_not_known() {
    // An Ollama whose probes fail, but which would answer the request.
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    let mut alice = key("alice", "sesame", Limits::default());
    alice.models = Some(Models::of(["a"]).unwrap());
    config.admission.keys = vec![alice];
    let sidecar = sidecar(config).await;
    let request =
        "GET /api/tags HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer sesame\r\n\r\n";
    let seen = sidecar.exchange(request).await;
    assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("no upstream has sent its list"), "{seen}");
    upstream.was_not_asked();
}
