//! Each generation has one finish reason, in each dialect, streamed or not.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_simulate::{self as simulate, Simulator};

use crate::harness::*;

const MOST: u32 = 8;

async fn before() -> Sidecar {
    let simulated = simulate::Config {
        rate: 0.0,
        prefill_rate: 0.0,
        load_time: Duration::ZERO,
        tokens: MOST,
        ..simulate::Config::default()
    };
    let ollama = Simulator::bind(simulated).unwrap();
    let sidecar = sidecar(config(ollama.addr())).await;
    tokio::spawn(ollama.run(std::future::pending()));
    sidecar
}

async fn ask(sidecar: &Sidecar, path: &str, body: &Value) {
    let request = reqwest::Client::new().post(format!("http://{}{path}", sidecar.proxy)).json(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path} {body}");
    let _ = response.bytes().await.unwrap();
}

/// The body of a request to the model with more fields.
fn with(ask: &Value, stream: bool, more: &Value) -> Value {
    let mut body = ask.clone();
    body["model"] = "sim".into();
    body["stream"] = stream.into();
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn finished(route: &str, reason: &str) -> String {
    format!("finish_total{{route=\"{route}\",model=\"sim:latest\",reason=\"{reason}\"}}")
}

#[tokio::test]
async fn finish_reason_is_counted_in_each_dialect() {
    let sidecar = before().await;
    let messages = json!([{"role": "user", "content": "x"}]);
    let parameters = json!({"type": "object", "properties": {}});
    let function = json!({"type": "function", "function": {"name": "look", "parameters": parameters}});
    let asks = [
        ("generate", "/api/generate", json!({"prompt": "x"}), json!({"options": {"num_predict": 3}}), None),
        (
            "chat",
            "/api/chat",
            json!({"messages": messages}),
            json!({"options": {"num_predict": 3}}),
            Some(json!([function])),
        ),
        (
            "openai_chat",
            "/v1/chat/completions",
            json!({"messages": messages}),
            json!({"max_tokens": 3}),
            Some(json!([function])),
        ),
        ("openai_completions", "/v1/completions", json!({"prompt": "x"}), json!({"max_tokens": 3}), None),
        (
            "anthropic_messages",
            "/v1/messages",
            json!({"messages": messages, "max_tokens": 99}),
            json!({"max_tokens": 3}),
            Some(json!([{"name": "look", "input_schema": parameters}])),
        ),
        (
            "openai_responses",
            "/v1/responses",
            json!({"input": "x"}),
            Value::Null,
            Some(json!([{"type": "function", "name": "look", "parameters": parameters}])),
        ),
    ];
    for (route, path, ask_for, limit, tools) in asks {
        for (times, stream) in [(1.0, true), (2.0, false)] {
            ask(&sidecar, path, &with(&ask_for, stream, &Value::Null)).await;
            sidecar.until(&finished(route, "stop"), times).await;
            if !limit.is_null() {
                ask(&sidecar, path, &with(&ask_for, stream, &limit)).await;
                sidecar.until(&finished(route, "length"), times).await;
            }
            if let Some(tools) = &tools {
                ask(&sidecar, path, &with(&ask_for, stream, &json!({"tools": tools}))).await;
                sidecar.until(&finished(route, "tool_calls"), times).await;
            }
        }
        assert_eq!(sidecar.value(&finished(route, "none")), 0.0, "{route}");
        assert_eq!(sidecar.value(&finished(route, "stop")), 2.0, "{route}");
    }
}

#[tokio::test]
async fn load_and_unload_finish_with_their_own_reasons() {
    let sidecar = before().await;
    ask(&sidecar, "/api/generate", &json!({"model": "sim"})).await;
    sidecar.until(&finished("generate", "load"), 1.0).await;
    ask(&sidecar, "/api/generate", &json!({"model": "sim", "keep_alive": 0})).await;
    sidecar.until(&finished("generate", "unload"), 1.0).await;
}

#[tokio::test]
async fn stream_without_end_finishes_with_none_and_error_with_error() {
    let (_upstream, sidecar, client, mut asked) = streaming().await;
    let of =
        |reason: &str| format!("finish_total{{route=\"generate\",model=\"m:latest\",reason=\"{reason}\"}}");
    drop(client);
    sidecar.until(&of("none"), 1.0).await;
    asked.is_left().await;

    let (_upstream, sidecar, mut client, mut asked) = streaming().await;
    asked.write(&chunk("{\"error\":\"it broke\"}\n")).await;
    asked.write("0\r\n\r\n").await;
    let _ = client.until("0\r\n\r\n").await;
    sidecar.until(&of("error"), 1.0).await;
    assert_eq!(sidecar.value(&of("none")), 0.0);
}
