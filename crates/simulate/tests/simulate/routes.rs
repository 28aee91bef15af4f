//! Routes that were added over time, and other differences between versions.

use reqwest::header::{ALLOW, CONTENT_TYPE};
use serde_json::{Value, json};
use streamgauge_simulate::{Config, OllamaVersion};

use super::harness::{Running, quick, run};

fn of(version: OllamaVersion) -> Running {
    run(Config { version, ..quick() })
}

fn form(fields: &[(&str, &str)]) -> (String, String) {
    let parts = fields.iter().map(|(name, value)| {
        format!("--sep\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    ("multipart/form-data; boundary=sep".into(), parts.collect::<String>() + "--sep--\r\n")
}

async fn transcribe(sim: &Running, fields: &[(&str, &str)]) -> reqwest::Response {
    let (content_type, body) = form(fields);
    let request = sim.client.post(sim.url("/v1/audio/transcriptions")).header(CONTENT_TYPE, content_type);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn version_has_its_routes() {
    for (method, path, since) in [
        ("GET", "/api/status", OllamaVersion::V0_33),
        ("POST", "/api/me", OllamaVersion::V0_12),
        ("DELETE", "/api/user/keys/x", OllamaVersion::V0_12),
        ("POST", "/api/experimental/web_fetch", OllamaVersion::V0_33),
        ("GET", "/api/experimental/model-recommendations", OllamaVersion::V0_33),
        ("POST", "/v1/responses/compact", OllamaVersion::V0_34),
        ("POST", "/v1/images/generations", OllamaVersion::V0_34),
    ] {
        for version in OllamaVersion::ALL {
            let sim = of(version);
            let request = sim.client.request(method.parse().unwrap(), sim.url(path));
            let body = json!({"model": "sim", "input": "x", "url": "x"});
            let status = request.json(&body).send().await.unwrap().status().as_u16();
            let has = version >= since && path != "/v1/images/generations";
            assert_eq!(status, if has { 200 } else { 404 }, "{version} {method} {path}");
        }
    }
}

#[tokio::test]
async fn transcription_is_silent_until_its_end() {
    let sim = of(OllamaVersion::V0_33);
    let fields = [("model", "sim"), ("file", "RIFF…"), ("language", "en")];
    let response = transcribe(&sim, &fields).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["transfer-encoding"]),
        (200, &"chunked".parse().unwrap())
    );
    assert!(response.json::<Value>().await.unwrap()["text"].is_string());
    let plain = transcribe(&sim, &[("response_format", "text"), fields[0], fields[1]]).await;
    assert!(!plain.text().await.unwrap().contains('{'));
    assert_eq!((sim.truth.output_tokens(), sim.truth.ended()), (16, 2));
    for (fields, status) in
        [(&fields[1..], 400), (&fields[..1], 400), (&[("model", "nope"), fields[1]][..], 404)]
    {
        let response = transcribe(&sim, fields).await;
        assert_eq!(response.status(), status, "{fields:?}");
        assert!(response.json::<Value>().await.unwrap()["error"]["message"].is_string());
    }
    let json = sim.post("/v1/audio/transcriptions", &json!({"model": "sim"})).send().await.unwrap();
    assert_eq!(json.status(), 400);
}

#[tokio::test]
async fn responses_compact_is_one_item_with_its_usage() {
    let sim = of(OllamaVersion::V0_34);
    let body =
        sim.text("/v1/responses/compact", &json!({"model": "sim", "input": "x", "stream": true})).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&answer["object"], &answer["output"][0]["type"]),
        (&json!("response.compaction"), &json!("compaction"))
    );
    assert_eq!(answer["usage"]["output_tokens"], 8);
}

#[tokio::test]
async fn model_that_only_generates_refuses_to_embed() {
    for (version, status) in
        [(OllamaVersion::V0_12, 500), (OllamaVersion::V0_33, 501), (OllamaVersion::V0_34, 501)]
    {
        let sim = run(Config { version, embeddings: false, ..quick() });
        for (path, status) in [("/api/embed", status), ("/api/embeddings", 500), ("/v1/embeddings", status)] {
            let response =
                sim.post(path, &json!({"model": "sim", "input": "x", "prompt": "x"})).send().await.unwrap();
            assert_eq!(response.status(), status, "{version} {path}");
        }
        assert_eq!(sim.truth.cancelled(), 0);
    }
}

#[tokio::test]
async fn wrong_method_gets_405_with_the_allowed_ones() {
    let sim = run(quick());
    let digest = format!("/api/blobs/sha256:{}", "0".repeat(64));
    for (path, allowed) in
        [("/api/tags", "HEAD, GET"), ("/", "HEAD, GET"), (digest.as_str(), "HEAD, POST"), ("/api/ps", "GET")]
    {
        let response = sim.client.put(sim.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(response.headers()[ALLOW], allowed, "{path}");
    }
}

#[tokio::test]
async fn message_without_required_fields_is_refused() {
    let sim = run(quick());
    let messages = json!([{"role": "user", "content": "x"}]);
    for (body, said) in [
        (json!({"max_tokens": 9, "messages": messages}), "model is required"),
        (json!({"model": "sim", "messages": messages}), "max_tokens is required and must be positive"),
        (json!({"model": "sim", "max_tokens": 9, "messages": []}), "messages is required"),
    ] {
        let error: Value = sim.post("/v1/messages", &body).send().await.unwrap().json().await.unwrap();
        assert_eq!(error["error"]["message"], said);
        assert!(error["request_id"].as_str().unwrap().starts_with("req_"), "{error}");
    }
}

/// A zstd frame that stores a text without compression.
#[cfg(feature = "coding")]
fn zstd(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let block = (u32::from(length) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, length], &block[..3], text.as_bytes()].concat()
}

#[cfg(feature = "coding")]
#[tokio::test]
async fn zstd_is_read_on_the_five_routes_of_v1_since_0_30() {
    let body = r#"{"model":"sim","messages":[{"role":"user","content":"x"}],"input":"x","prompt":"x","max_tokens":3}"#;
    for version in OllamaVersion::ALL {
        let sim = of(version);
        let since = if version == OllamaVersion::V0_12 { 400 } else { 200 };
        for (path, status) in [
            ("/v1/chat/completions", since),
            ("/v1/completions", since),
            ("/v1/embeddings", since),
            ("/v1/responses", if since == 400 { 404 } else { 200 }),
            ("/v1/messages", if since == 400 { 404 } else { 200 }),
            ("/api/chat", 400),
        ] {
            let post = |body: Vec<u8>, encoding: &str| {
                let request = sim.client.post(sim.url(path)).header("content-encoding", encoding);
                request.body(body).send()
            };
            let response = post(zstd(body), "zstd").await.unwrap();
            assert_eq!(response.status(), status, "{version} {path}");
            if status == 200 {
                let answer: Value = response.json().await.unwrap();
                assert_eq!(answer["model"], "sim", "{version} {path}");
                assert_eq!(post(zstd("{"), "zstd").await.unwrap().status(), 400, "{version} {path}");
                let garbage = post(body.into(), "zstd").await.unwrap();
                assert_eq!(garbage.status(), 400, "{version} {path}");
                let said: Value = garbage.json().await.unwrap();
                assert_eq!(said, json!({"error": "invalid input: magic number mismatch"}), "in no dialect");
                assert_eq!(post(zstd(body), "gzip").await.unwrap().status(), 400, "{version} {path}");
            }
        }
    }
}
