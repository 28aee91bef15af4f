//! The behaviour of Go's net/http and gin, whatever Ollama itself does.

use reqwest::{header::LOCATION, redirect::Policy};
use serde_json::{Value, json};
use streamgauge_simulate::{Config, OllamaVersion};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::harness::{Running, lines, quick, run};

/// Returns a response as it arrives: head and body.
async fn raw(sim: &Running, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(sim.addr).await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let length = body.len();
    let head =
        format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn body_of_more_than_2048_bytes_is_one_chunk() {
    let sim = run(quick());
    let whole = |prompt: &str| {
        format!("POST /api/embed HTTP/1.1\r\n\r\n{}", json!({"model": "sim", "input": prompt}))
    };
    let (head, body) = raw(&sim, &whole("x")).await;
    assert!(head.contains("Transfer-Encoding: chunked") && !head.contains("Content-Length"), "{head}");
    let (length, rest) = body.split_once("\r\n").unwrap();
    let length = usize::from_str_radix(length, 16).unwrap();
    assert!(length > 2048 && &rest[length..] == "\r\n0\r\n\r\n", "{length} {body}");

    // The error message repeats a header, so the test can choose its length.
    let message = |length: usize| {
        let rest = r#"{"error":"x-simulate-chat: unknown chat path ``: write go-template or native"}"#;
        let path = "m".repeat(length - rest.len());
        let ask = json!({"model": "sim", "prompt": "x"});
        format!("POST /api/generate HTTP/1.1\r\nX-Simulate-Chat: {path}\r\n\r\n{ask}")
    };
    let (head, body) = raw(&sim, &message(2048)).await;
    assert!(head.contains("Content-Length: 2048") && body.len() == 2048, "{head}");
    let (head, body) = raw(&sim, &message(2049)).await;
    assert!(head.contains("Transfer-Encoding: chunked") && body.starts_with("801\r\n"), "{head}\n{body}");
}

#[tokio::test]
async fn embeddings_have_384_values() {
    let sim = run(quick());
    for (path, place) in [
        ("/api/embed", "/embeddings/0"),
        ("/api/embeddings", "/embedding"),
        ("/v1/embeddings", "/data/0/embedding"),
    ] {
        let ask = json!({"model": "sim", "input": "x", "prompt": "x"});
        let answer: Value = serde_json::from_str(&sim.text(path, &ask).await).unwrap();
        let values = answer.pointer(place).unwrap().as_array().unwrap();
        let square: f64 = values.iter().map(|value| value.as_f64().unwrap().powi(2)).sum();
        assert_eq!(values.len(), 384, "{path}");
        assert!((square - 1.0).abs() < 1e-5, "{path}: {square}");
    }
}

#[tokio::test]
async fn path_that_is_not_clean_is_redirected_to_the_clean_one() {
    let sim = run(quick());
    for (method, path, status, to) in [
        ("GET", "//api/tags", 307, "/api/tags"),
        ("GET", "/api/../api/tags?a=b&c", 307, "/api/tags?a=b&c"),
        ("POST", "/api//generate", 307, "/api/generate"),
        ("GET", "/no/./such/", 307, "/no/such/"),
        ("GET", "/api/tags/?a=b", 301, "/api/tags?a=b"),
        ("POST", "/api/generate/", 307, "/api/generate"),
    ] {
        let (head, body) = raw(&sim, &format!("{method} {path} HTTP/1.1\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {head}");
        assert!(head.contains(&format!("\r\nLocation: {to}")), "{method} {path}: {head}");
        let why = if status == 301 { "Moved Permanently" } else { "Temporary Redirect" };
        let page = format!("<a href=\"{}\">{why}</a>.\n\n", to.replace('&', "&amp;"));
        assert_eq!(body, if method == "GET" { page } else { String::new() }, "{method} {path}");
        assert_eq!(head.contains("Content-Type: text/html; charset=utf-8"), method == "GET", "{head}");
    }
    let (head, _) = raw(&sim, "GET /api/%2e%2e/api/tags HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "escapes are not cleaned: {head}");
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let head = client.head(sim.url("/api/ps/")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers().get(LOCATION)), (404, None), "/api/ps takes no HEAD");
    let head = client.head(sim.url("/api/tags/")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()[LOCATION].as_bytes()), (307, &b"/api/tags"[..]));
}

#[tokio::test]
async fn json_that_is_no_object_is_refused_and_null_is_an_empty_object() {
    let think = |name: &str| format!(r#"struct {{ *api.{name}; Think json.RawMessage "json:\"think\"" }}"#);
    let (generate, chat) = (think("GenerateRequest"), think("ChatRequest"));
    let all = [OllamaVersion::V0_12, OllamaVersion::V0_33, OllamaVersion::V0_34];
    for (path, versions, go) in [
        ("/api/generate", &all[..2], "api.GenerateRequest"),
        ("/api/generate", &all[2..], generate.as_str()),
        ("/api/chat", &all[2..], chat.as_str()),
        ("/api/embed", &all, "api.EmbedRequest"),
        ("/api/show", &all, "api.ShowRequest"),
        ("/v1/chat/completions", &all, "openai.ChatCompletionRequest"),
        ("/v1/completions", &all, "openai.CompletionRequest"),
        ("/v1/embeddings", &all, "openai.EmbedRequest"),
        ("/v1/messages", &all[1..], "anthropic.MessagesRequest"),
        ("/v1/responses", &all[1..2], "openai.ResponsesRequest"),
        ("/v1/responses", &all[2..], "map[string]json.RawMessage"),
    ] {
        for (version, (body, kind)) in versions.iter().flat_map(|version| {
            [("[]", "array"), ("\"x\"", "string"), ("1", "number"), ("true", "bool")]
                .map(|body| (*version, body))
        }) {
            let sim = run(Config { version, ..quick() });
            let response = sim.client.post(sim.url(path)).body(body).send().await.unwrap();
            assert_eq!(response.status(), 400, "{version} {path} {body}");
            assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
            let said: Value = response.json().await.unwrap();
            let message = said["error"]["message"].as_str().or(said["error"].as_str()).unwrap();
            let wanted = format!("json: cannot unmarshal {kind} into Go value of type {go}");
            assert_eq!(message.trim_start_matches("invalid Responses request: "), wanted, "{version} {path}");
        }
    }
    let sim = run(quick());
    for (path, status, said) in [
        ("/api/generate", 404, "model '' not found"),
        ("/api/chat", 400, "model is required"),
        ("/api/embeddings", 400, "model is required"),
        ("/v1/chat/completions", 400, "[] is too short - 'messages'"),
        ("/v1/embeddings", 400, "invalid input"),
        ("/v1/responses", 400, r#""code":"invalid_request_error""#),
    ] {
        for body in ["null", "{}"] {
            let response = sim.client.post(sim.url(path)).body(body).send().await.unwrap();
            assert_eq!(response.status(), status, "{path} {body}");
            assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8", "{path}");
            assert!(response.text().await.unwrap().contains(said), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn refusal_of_a_handler_is_an_api_error_under_v1_of_0_12() {
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
    for version in OllamaVersion::ALL {
        let sim = run(Config { version, ..quick() });
        let is_old = version == OllamaVersion::V0_12;
        for (body, status, kind) in [
            (chat("nope"), 404, if is_old { "api_error" } else { "not_found_error" }),
            (chat(""), 400, if is_old { "api_error" } else { "invalid_request_error" }),
            (json!({"model": "sim", "messages": []}), 400, "invalid_request_error"),
            (json!([]), 400, "invalid_request_error"),
        ] {
            let response = sim.post("/v1/chat/completions", &body).send().await.unwrap();
            assert_eq!(response.status(), status, "{version} {body}");
            assert_eq!(response.json::<Value>().await.unwrap()["error"]["type"], kind, "{version} {body}");
        }
    }
}

#[tokio::test]
async fn token_at_the_limit_is_counted_and_not_sent_by_0_12() {
    for version in OllamaVersion::ALL {
        let sim = run(Config { version, tokens: 60, ..quick() });
        for (limit, told) in [(40, 39), (1, 0)] {
            let ask = json!({"model": "sim", "prompt": "x", "options": {"num_predict": limit}});
            let records = lines(&sim.text("/api/generate", &ask).await);
            let told = if version == OllamaVersion::V0_12 { told } else { limit };
            assert_eq!(records.len(), told + 1, "{version} {limit}");
            let last = &records[told];
            assert_eq!((&last["eval_count"], &last["done_reason"]), (&json!(limit), &json!("length")));
        }
        let whole = lines(&sim.text("/api/generate", &json!({"model": "sim", "prompt": "x"})).await);
        assert_eq!((whole.len(), &whole[60]["eval_count"]), (61, &json!(60)), "{version}");
    }
}
