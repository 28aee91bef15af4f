//! A model that an upstream lacks although its list has it.

use streamgauge::{sidecar::Config, upstream::Policy};

use super::several::{in_turn, up};
use crate::harness::*;

const TAGS: &str = r#"{"models":[{"name":"m:latest","model":"m:latest"}]}"#;
const OTHERS: &str = r#"{"models":[{"name":"n:latest","model":"n:latest"}]}"#;
const MISSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\n\
    Content-Length: 29\r\n\r\n{\"error\":\"model 'm' missing\"}";
const DONE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
const BODY: &str = "{\"model\":\"m\"}";

/// Two upstreams with these lists. The first one is asked first.
async fn two(one: &'static str, other: &'static str) -> ([Upstream; 2], Config) {
    let upstreams = [listing(one).await, listing(other).await];
    let mut config = in_turn(&[upstreams[0].addr, upstreams[1].addr]);
    config.upstream.choose = Policy::RoundRobin;
    (upstreams, config)
}

async fn answers(upstream: &mut Upstream, body: &str, answer: &str) {
    let mut asked = upstream.asked().await;
    assert_eq!(asked.body(body.len()).await, body);
    asked.write(answer).await;
}

fn retries(upstream: &str) -> String {
    format!("upstream_retries_total{{upstream=\"{upstream}\",reason=\"no_model\"}}")
}

#[tokio::test]
async fn request_for_model_that_is_gone_goes_to_another_upstream() {
    for path in ["/api/generate", "/v1/chat/completions", "/api/embed", "/v1/embeddings", "/api/show"] {
        let ([mut gone, mut has], config) = two(TAGS, TAGS).await;
        let sidecar = up(config).await;
        let client = sidecar.send(&post_once(path, BODY)).await;
        answers(&mut gone, BODY, MISSING).await;
        answers(&mut has, BODY, DONE).await;
        let seen = client.rest().await;
        assert!(seen.starts_with("HTTP/1.1 200 ") && seen.ends_with("{}"), "{path}: {seen}");
        assert_eq!((sidecar.value(&retries("gpu0")), sidecar.value(&retries("gpu1"))), (1.0, 0.0), "{path}");
    }
}

#[tokio::test]
async fn model_that_no_upstream_has_gets_the_last_404() {
    let ([mut one, mut other], config) = two(TAGS, TAGS).await;
    let sidecar = up(config).await;
    let client = sidecar.send(&post_once("/api/chat", BODY)).await;
    answers(&mut one, BODY, MISSING).await;
    answers(&mut other, BODY, MISSING).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 404 "));
    one.was_not_asked();
    other.was_not_asked();
}

#[tokio::test]
async fn upstream_whose_list_lacks_the_model_is_not_tried() {
    let ([mut one, mut other], config) = two(TAGS, OTHERS).await;
    let sidecar = up(config).await;
    let client = sidecar.send(&post_once("/api/chat", BODY)).await;
    answers(&mut one, BODY, MISSING).await;
    assert!(client.rest().await.ends_with("{\"error\":\"model 'm' missing\"}"));
    other.was_not_asked();
    assert_eq!(sidecar.value(&retries("gpu0")), 0.0);
}

#[tokio::test]
async fn missing_model_of_another_route_is_answered_once() {
    let ([mut one, mut other], config) = two(TAGS, TAGS).await;
    let sidecar = up(config).await;
    for (request, body) in [
        (post_once("/api/delete", BODY).replacen("POST", "DELETE", 1), BODY),
        (post_once("/api/pull", BODY), BODY),
        ("GET /v1/models/m HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(), ""),
    ] {
        let client = sidecar.send(&request).await;
        answers(&mut one, body, MISSING).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 404 "), "{request}");
        other.was_not_asked();
    }
}

#[tokio::test]
async fn body_that_is_not_held_whole_is_not_sent_again() {
    let ([mut one, mut other], mut config) = two(TAGS, TAGS).await;
    config.proxy.peek_limit = 1 << 10;
    config.proxy.read_ahead_budget = 0;
    let sidecar = up(config).await;
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{}\"}}", "x".repeat(300 << 10));
    let client = sidecar.send(&post_once("/api/generate", &body)).await;
    answers(&mut one, &body, MISSING).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 404 "));
    other.was_not_asked();
}
