//! Errors after keep-alive lines: one event in the dialect of the client, and an outcome of its own.

use std::time::Duration;

use serde_json::Value;

use super::{BODY, CHAT, COMMENT, DEPTH, kept_alive, waiting, whole};
use crate::harness::*;

/// The only event after the keep-alive lines: its name, and its data.
fn event(seen: &str) -> (Option<String>, Value) {
    let (_, body) = decoded(seen);
    let body = body.replace(COMMENT, "").replace("event: ping\ndata: {\"type\": \"ping\"}\n\n", "");
    let event = body.strip_suffix("\n\n").expect("a whole event");
    assert!(!event.contains("\n\n"), "{event}");
    let (name, data) = match event.split_once('\n') {
        Some((name, data)) => (Some(name.strip_prefix("event: ").unwrap().to_owned()), data),
        None => (None, event),
    };
    (name, serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap())
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn error_of_the_upstream_becomes_one_event_of_the_dialect() {
    let openai = r#"{"error":{"message":"no such model","type":"not_found_error","param":null,"code":"c"}}"#;
    let anthropic = r#"{"type":"error","error":{"type":"not_found_error","message":"no such model"}}"#;
    for (path, told, name) in [
        (CHAT, openai, None),
        ("/v1/completions", openai, None),
        ("/v1/responses", openai, Some("error")),
        ("/v1/messages", anthropic, Some("error")),
    ] {
        let mut upstream = upstream().await;
        let (sidecar, mut client, mut asked, seen) =
            waiting(kept_alive(upstream.addr), &mut upstream, path).await;
        asked.write(&response("404 Not Found", told)).await;
        let (event, data) = event(&(seen + &client.until("0\r\n\r\n").await));
        assert_eq!(event.as_deref(), name, "{path}");
        assert_eq!(data["error"]["message"], "no such model", "{path}: {data}");
        match path {
            "/v1/responses" => {
                assert_eq!([&data["type"], &data["code"], &data["message"]], ["error", "c", "no such model"]);
            }
            _ => assert_eq!(data, serde_json::from_str::<Value>(told).unwrap(), "{path}"),
        }
        let route = match path {
            CHAT => "openai_chat",
            "/v1/completions" => "openai_completions",
            "/v1/responses" => "openai_responses",
            _ => "anthropic_messages",
        };
        // A model that does not exist is no failure of the upstream.
        sidecar.until(&ended(route, "other", "client_error"), 1.0).await;
        assert_eq!(sidecar.value(&format!("responses_total{{route=\"{route}\",code=\"200\"}}")), 1.0);
        assert_eq!(sidecar.value(&format!("responses_total{{route=\"{route}\",code=\"404\"}}")), 0.0);
        // The slot is free, and both connections take the next request.
        client.write(&post("/api/generate", "{\"model\":\"m\"}")).await;
        let mut asked = soon(Asked::read(asked.stream)).await.expect("the connection is kept");
        asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
        assert!(client.until("0\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn answer_that_cannot_follow_the_lines_becomes_an_event() {
    let coded = whole().replacen("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1);
    let unexpected = response("200 OK", r#"{"choices":[]}"#);
    let teapot = response("418 Short And Stout", "<html>");
    let redirect = response("302 Found", "").replacen("\r\n", "\r\nLocation: /x\r\n", 1);
    for (answer, message) in [
        (coded, "responded with no plain event stream after keep-alive lines were sent"),
        (unexpected, "responded with no plain event stream after keep-alive lines were sent"),
        (teapot, "responded with 418 I'm a teapot after keep-alive lines were sent"),
        (redirect, "responded with 302 Found after keep-alive lines were sent"),
        // The connection breaks off.
        (String::new(), "gave no valid response: connection closed before message completed"),
    ] {
        let mut upstream = upstream().await;
        let (sidecar, mut client, mut asked, seen) =
            waiting(kept_alive(upstream.addr), &mut upstream, CHAT).await;
        assert!(asked.head.to_lowercase().contains("\r\naccept-encoding: identity\r\n"), "{}", asked.head);
        asked.write(&answer).await;
        drop(asked);
        let (_, data) = event(&(seen + &client.until("0\r\n\r\n").await));
        assert_eq!(data["error"]["message"], format!("upstream \"gpu0\" {message}"));
        let outcome = if message.contains("418") { "client_error" } else { "late_error" };
        sidecar.until(&ended("openai_chat", "other", outcome), 1.0).await;
        let noted: Value = serde_json::from_str(&sidecar.page("/requests").await.1).unwrap();
        if outcome == "client_error" {
            assert_eq!(noted["requests"], Value::Array(Vec::new()), "no failure of the upstream");
            continue;
        }
        let noted = &noted["requests"][0];
        assert_eq!((noted["status"].as_u64(), noted["outcome"].as_str()), (Some(200), Some(outcome)));
        assert_eq!(noted["reason"], format!("upstream \"gpu0\" {message}"));
    }
}

#[tokio::test]
async fn wait_that_ends_in_the_queue_becomes_an_event() {
    let mut upstream = upstream().await;
    let mut config = kept_alive(upstream.addr);
    config.queue.timeout = Duration::from_secs(2);
    let (sidecar, _first, _asked, _) = waiting(config, &mut upstream, CHAT).await;
    let mut client = sidecar.send(&post(CHAT, BODY)).await;
    let seen = client.until(COMMENT).await;
    sidecar.until(DEPTH, 1.0).await;
    let (name, data) = event(&(seen + &client.until("0\r\n\r\n").await));
    assert_eq!((name, &data["error"]["type"]), (None, &Value::from("api_error")), "{data}");
    sidecar.until(&ended("openai_chat", "other", "late_error"), 1.0).await;
    let refused = "admission_total{decision=\"refused\",reason=\"queue_timeout\"}";
    sidecar.until(refused, 1.0).await;
    assert_eq!(sidecar.value(DEPTH), 0.0);
}

#[tokio::test]
async fn late_error_to_a_client_of_http_1_0_is_followed_by_a_clean_end() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(kept_alive(upstream.addr)).await;
    let mut client = sidecar.send(&post(CHAT, BODY).replacen("HTTP/1.1", "HTTP/1.0", 1)).await;
    let mut asked = upstream.asked().await;
    let seen = client.until(COMMENT).await;
    asked.write(&response("500 Internal Server Error", "{}")).await;
    let (_, data) = event(&(seen + &client.rest().await));
    assert_eq!(data["error"]["type"], "api_error", "{data}");
}
