//! How far a body is read before its upstream is chosen.

use std::{fmt::Write as _, time::Duration};

use serde_json::json;
use streamgauge_simulate as simulate;

use crate::harness::*;

const HELD: &str = "read_ahead_bytes";

fn stopped(reason: &str) -> String {
    format!("read_ahead_stopped_total{{reason=\"{reason}\"}}")
}

/// A request as openai-python writes it: the model comes after the messages, which contain an image.
fn seen(model: &str, image: usize) -> String {
    let image = "A".repeat(image);
    format!(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"text\",\"text\":\"what?\"}},{{\"type\":\"image_url\",\
         \"image_url\":{{\"url\":\"data:image/png;base64,{image}\"}}}}]}}],\"model\":\"{model}\",\"stream\":true}}"
    )
}

#[tokio::test]
async fn model_behind_20_mb_image_is_found_and_routed() {
    let sidecar = before_two(simulate::Config {
        rate: 0.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        tokens: 3,
        ..simulate::Config::default()
    })
    .await;
    let client = reqwest::Client::new();
    for request in 0..6 {
        let body = seen(&format!("model{}", request % 2), if request < 2 { 27 << 20 } else { 2 << 20 });
        let url = format!("http://{}/v1/chat/completions", sidecar.proxy);
        let response = soon(client.post(url).body(body).send()).await.unwrap();
        assert_eq!(response.status(), 200, "request {request}");
        assert!(response.text().await.unwrap().contains("[DONE]"));
    }
    for place in 0..2 {
        sidecar
            .until(
                &format!(
                    "requests_total{{upstream=\"gpu{place}\",route=\"openai_chat\",model=\"model{place}:latest\",outcome=\"complete\"}}"
                ),
                3.0,
            )
            .await;
    }
    sidecar.until(HELD, 0.0).await;
    assert_eq!(sidecar.value(&stopped("budget")) + sidecar.value(&stopped("too_long")), 0.0);
}

#[tokio::test]
async fn body_is_forwarded_as_soon_as_its_model_is_known() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.peek_limit = 64 << 10;
    let sidecar = sidecar(config).await;
    let body = json!({"model": "m", "prompt": "p".repeat(1 << 20)}).to_string();
    let request = post_once("/api/generate", &body);
    let (first, rest) = request.split_at(request.len() - (768 << 10));
    let mut client = sidecar.send(first).await;
    // The rest is not sent before the upstream has been asked.
    let mut asked = upstream.asked().await;
    let (seen, ()) = tokio::join!(asked.body(body.len()), client.write(rest));
    assert!(seen == body, "another body");
    sidecar.until(HELD, 0.0).await;
}

#[tokio::test]
async fn read_ahead_budget_when_spent_stops_at_peek_limit_and_is_returned() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.peek_limit = 64 << 10;
    config.proxy.read_ahead_budget = 8 << 20;
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    let sidecar = sidecar(config).await;
    let running = sidecar.send(&generate()).await;
    let mut first = upstream.asked().await;
    first.body(13).await;
    first.write(&[STREAM, &chunk(RECORD)].concat()).await;

    // They wait in the queue, each with all that it has sent.
    let body = seen("m", 2_000_000);
    let mut waiting = Vec::new();
    for count in 1..=4 {
        waiting.push(sidecar.send(&post_once("/v1/chat/completions", &body)).await);
        sidecar.until("queue_depth{priority=\"normal\"}", f64::from(count)).await;
        assert_eq!(sidecar.value(HELD), f64::from(count) * body.len() as f64);
    }
    assert_eq!(sidecar.value(&stopped("budget")), 0.0);
    let mut short = sidecar.connect().await;
    let request = post_once("/v1/chat/completions", &body);
    // The rest of its body is not read, so that writing it may fail.
    let (begin, rest) = request.split_at(256 << 10);
    short.write(begin).await;
    sidecar.until(&stopped("budget"), 1.0).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 5.0).await;
    let held = sidecar.value(HELD) - 4.0 * body.len() as f64;
    assert!((65_536.0..=262_144.0).contains(&held), "{held}");

    // It is served nevertheless, with an unknown model.
    drop(waiting);
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    drop(running);
    let mut asked = upstream.asked().await;
    let (seen, ()) = tokio::join!(asked.body(body.len()), short.write(rest));
    assert!(seen == body, "another body");
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    assert!(short.rest().await.ends_with("{}"));
    sidecar.until(&ended("openai_chat", "unknown", "complete"), 1.0).await;
    sidecar.until(HELD, 0.0).await;
}

#[tokio::test]
async fn body_over_a_quarter_of_read_ahead_budget_is_forwarded_as_it_arrives() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.peek_limit = 64 << 10;
    config.proxy.read_ahead_budget = 1 << 20;
    let sidecar = sidecar(config).await;
    let body = seen("m", 512 << 10);
    let declared = post_once("/v1/chat/completions", &body);
    let mut chunked =
        String::from("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    write!(chunked, "{}0\r\n\r\n", chunk(&body)).unwrap();
    for (count, request) in [declared, chunked].iter().enumerate() {
        let client = sidecar.send(&request[..384 << 10]).await;
        // The upstream is asked before the body is complete.
        let asked = upstream.asked().await;
        assert_eq!(sidecar.value(&stopped("too_long")), count as f64 + 1.0);
        drop((client, asked));
    }
    sidecar.until(HELD, 0.0).await;
}

#[tokio::test]
async fn body_that_is_no_json_is_forwarded_with_unknown_model() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for body in ["no json", "{\"model\":7}", "{\"model\":[\"a\"]}", "", "{\"model\":\"\\u0000\"}", "[]"] {
        let client = sidecar.send(&post_once("/api/chat", body)).await;
        let mut asked = upstream.asked().await;
        assert_eq!(asked.body(body.len()).await, body);
        asked.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}").await;
        assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    }
    sidecar.until(&ended("chat", "unknown", "client_error"), 6.0).await;
}

#[tokio::test]
async fn body_beyond_peek_limit_has_its_model_read_from_the_start() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.peek_limit = 1 << 10;
    let sidecar = sidecar(config).await;
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{}\"}}", "a".repeat(1 << 20));
    let mut client = sidecar.connect().await;
    let sending = async {
        client.write(&post_once("/api/generate", &body)).await;
        client.rest().await
    };
    let serving = async {
        let mut asked = upstream.asked().await;
        assert_eq!(asked.body(body.len()).await, body);
        asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    };
    let (seen, ()) = tokio::join!(sending, serving);
    assert!(seen.ends_with("0\r\n\r\n"));
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
}
