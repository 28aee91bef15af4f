//! Admission, the queue and refusals.

mod cors;
mod models;
mod reload;
mod routes;
mod users;

use std::{num::NonZeroU32, time::Duration};

use serde_json::Value;
use streamgauge::admission::{Access, Digest, Key, Limits, Quota};

use super::harness::*;

fn quota(count: u32, per: Duration) -> Quota {
    Quota::new(NonZeroU32::new(count).unwrap(), per)
}

pub(crate) fn key(name: &str, secret: &str, limits: Limits) -> Key {
    let digest = Digest::of(secret.as_bytes());
    Key {
        name: name.to_owned(),
        digest,
        limits,
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    }
}

fn with_key(path: &str, secret: &str) -> String {
    post_once(path, "{\"model\":\"m\"}").replacen(
        "\r\n",
        &format!("\r\nAuthorization: Bearer {secret}\r\n"),
        1,
    )
}

#[tokio::test]
async fn known_key_admits_request_and_is_not_forwarded() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.require_key = true;
    config.admission.keys = vec![key("alice", "sesame", Limits::default())];
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&with_key("/api/generate", "sesame")).await;
    let mut asked = upstream.asked().await;
    assert!(
        !asked.head.contains("sesame") && !asked.head.to_lowercase().contains("authorization"),
        "{}",
        asked.head
    );
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(client.rest().await.ends_with("0\r\n\r\n"));
    sidecar.until("caller_requests_total{caller=\"alice\",outcome=\"complete\"}", 1.0).await;
    sidecar.until("caller_tokens_total{caller=\"alice\",kind=\"output\"}", 1.0).await;

    for (path, place, kind) in [
        ("/api/chat", "/error", None),
        ("/v1/chat/completions", "/error/message", Some("authentication_error")),
        ("/v1/messages", "/error/message", Some("authentication_error")),
    ] {
        for request in [with_key(path, "wrong"), post_once(path, "{}")] {
            let seen = sidecar.exchange(&request).await;
            let (head, body) = seen.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 401 ") && head.contains("www-authenticate: Bearer"), "{head}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert!(body.pointer(place).is_some_and(Value::is_string), "{body}");
            assert_eq!(body.pointer("/error/type").and_then(Value::as_str), kind);
            assert!(!body.to_string().contains("wrong"), "{body}");
        }
    }
    upstream.was_not_asked();
    sidecar.until("admission_total{decision=\"refused\",reason=\"unknown_key\"}", 3.0).await;
    sidecar.until("admission_total{decision=\"refused\",reason=\"no_key\"}", 3.0).await;
}

#[tokio::test]
async fn unknown_or_malformed_key_gets_401_with_reason() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.require_key = true;
    config.admission.keys = vec![key("alice", "sesame", Limits::default())];
    config.proxy.max_head = 4 << 20;
    let sidecar = sidecar(config).await;
    let with = |fields: &str| post_once("/api/show", "{}").replacen("\r\n", &format!("\r\n{fields}\r\n"), 1);
    let long = format!("Authorization: Bearer {}", "k".repeat(1 << 20));
    for (fields, reason) in [
        (long.as_str(), "unknown_key"),
        ("Authorization: sesame", "no_key"),
        ("Authorization: Basic c2VzYW1l", "no_key"),
        ("Authorization: Bearer", "no_key"),
        ("Authorization: Bearersesame", "no_key"),
        ("Authorization: Bearer sesame, Bearer mellon", "unknown_key"),
        ("Authorization: Bearer sesame\r\nAuthorization: Bearer mellon", "several_keys"),
        ("Authorization: Bearer sesame\r\nX-Api-Key: mellon", "several_keys"),
        ("X-Api-Key: \t", "no_key"),
    ] {
        let series = format!("admission_total{{decision=\"refused\",reason=\"{reason}\"}}");
        let before = sidecar.value(&series);
        let seen = sidecar.exchange(&with(fields)).await;
        let shown = &fields[..fields.len().min(60)];
        assert!(seen.starts_with("HTTP/1.1 401 ") && seen.contains("{\"error\":\""), "{shown}: {seen}");
        assert!(!seen.contains("sesame") && !seen.contains("mellon"), "{shown}: {seen}");
        sidecar.until(&series, before + 1.0).await;
    }
    upstream.was_not_asked();
    // The same key twice counts as one key.
    let twice = "X-Api-Key: sesame\r\nAuthorization: bearer  sesame\r\nAuthorization: Bearer sesame";
    let client = sidecar.send(&with(twice)).await;
    let mut asked = upstream.asked().await;
    assert!(!asked.head.contains("sesame"), "{}", asked.head);
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(client.rest().await.ends_with("ok"));
}

#[tokio::test]
async fn key_longer_than_max_head_gets_431() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {}\r\n\r\n", "k".repeat(1 << 20));
    let mut client = sidecar.connect().await;
    // It is refused before it is sent completely.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes()).await;
    sidecar.until("requests_malformed_total{reason=\"head_too_large\"}", 1.0).await;
    upstream.was_not_asked();
}

#[tokio::test]
async fn route_is_matched_as_ollama_reads_it() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.routes = Access::of(["chat", "tags"]).unwrap();
    let sidecar = sidecar(config).await;
    for target in
        ["DELETE /api/delete", "DELETE /api%2Fdelete", "POST /%61pi/pull", "GET /nothing", "POST //api/chat"]
    {
        let seen = sidecar
            .exchange(&format!(
                "{target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert!(seen.starts_with("HTTP/1.1 403 "), "{target}: {seen}");
    }
    upstream.was_not_asked();
}

#[tokio::test]
async fn rate_limit_exceeded_gets_429_with_retry_after() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.anonymous.requests = Some(quota(1, Duration::from_secs(60)));
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&post_once("/api/show", "{}")).await;
    let mut asked = upstream.asked().await;
    asked.body(2).await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let seen = client.rest().await;
    assert!(
        seen.contains("x-ratelimit-limit-requests: 1\r\nx-ratelimit-remaining-requests: 0\r\n"),
        "{seen}"
    );
    let seen = sidecar.exchange(&post_once("/api/show", "{}")).await;
    assert!(seen.starts_with("HTTP/1.1 429 ") && seen.contains("retry-after: 60\r\n"), "{seen}");
    let refused = "requests_total{upstream=\"none\",route=\"show\",model=\"unknown\",outcome=\"refused\"}";
    sidecar.until(refused, 1.0).await;
}

#[tokio::test]
async fn queue_is_bounded_and_client_that_leaves_frees_its_place() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 1;
    let sidecar = sidecar(config).await;
    let first = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;

    let second = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    let seen = sidecar.exchange(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("retry-after: "), "{seen}");
    upstream.was_not_asked();
    // A route without a slot does not wait.
    let show = sidecar.send(&post_once("/api/show", "{}")).await;
    upstream.asked().await.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(show.rest().await.ends_with("ok"));

    drop(second);
    sidecar.until("queue_depth{priority=\"normal\"}", 0.0).await;
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
    let third = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    // The slot of the first one is free as soon as its client disconnects.
    drop(first);
    asked.is_left().await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(third.rest().await.ends_with("0\r\n\r\n"));
    sidecar.until("queue_wait_seconds_count{priority=\"normal\"}", 2.0).await;
}

#[tokio::test]
async fn slot_is_freed_when_upstream_ends_even_if_client_reads_slowly() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.shaping.pace = 1;
    let sidecar = sidecar(config).await;
    let mut first = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(&RECORD.repeat(1000)), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    first.until(RECORD).await;
    drop(asked);
    let second = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(second.rest().await.ends_with("0\r\n\r\n"));
    // The first one runs for a quarter of an hour.
    assert_eq!(sidecar.value("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}"), 1.0);
}

#[tokio::test]
async fn refused_request_is_counted_for_its_caller() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.require_key = true;
    let limits = Limits { requests: Some(quota(1, Duration::from_secs(3600))), ..Limits::default() };
    let bob = Key { routes: Access::of(["chat"]).unwrap(), ..key("bob", "mellon", Limits::default()) };
    config.admission.keys = vec![key("alice", "sesame", limits), bob];
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&with_key("/api/show", "sesame")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.rest().await;
    for (secret, status) in [("sesame", "429"), ("sesame", "429"), ("mellon", "403"), ("wrong", "401")] {
        let seen = sidecar.exchange(&with_key("/api/show", secret)).await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{seen}");
    }
    let counted = |caller: &str, outcome: &str| {
        sidecar.value(&format!("caller_requests_total{{caller=\"{caller}\",outcome=\"{outcome}\"}}"))
    };
    sidecar.until("caller_requests_total{caller=\"alice\",outcome=\"complete\"}", 1.0).await;
    assert_eq!((counted("alice", "refused"), counted("bob", "refused")), (2.0, 1.0));
    let (_, page) = sidecar.page("/metrics").await;
    assert!(page.contains("caller_requests_total{caller=\"bob\",outcome=\"in_band_error\"} 0"), "{page}");
    assert!(!page.contains("_total{caller=\"anonymous\""), "nobody is let in without a key: {page}");
}

#[tokio::test]
async fn client_that_leaves_before_the_first_record_is_charged_its_prompt() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.anonymous.tokens = Some(quota(1_000, Duration::from_secs(60)));
    let sidecar = sidecar(config).await;
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{}\"}}", "word ".repeat(2_000));
    // Most of this body is an image.
    let image = format!("{{\"model\":\"m\",\"prompt\":\"x\",\"images\":[\"{}\"]}}", "A".repeat(100_000));
    for body in [&image, &body] {
        let client = sidecar.send(&post("/api/generate", body)).await;
        let mut asked = upstream.asked().await;
        asked.body(body.len()).await;
        drop(client);
        asked.is_left().await;
    }
    sidecar.until("caller_requests_total{caller=\"anonymous\",outcome=\"client_abort\"}", 2.0).await;
    let seen = sidecar.exchange(&post_once("/api/generate", "{}")).await;
    assert!(seen.starts_with("HTTP/1.1 429 ") && seen.contains("too many tokens"), "{seen}");
    // About 2,500 tokens. The image is not counted, and 1,000 could come at once.
    let (_, wait) = seen.split_once("retry-after: ").unwrap();
    let wait: u32 = wait.split_once("\r\n").unwrap().0.parse().unwrap();
    assert!((30..=100).contains(&wait), "{wait}");
    for counts in [
        "tokens_total{model=\"other\",kind=\"prompt\"}",
        "caller_tokens_total{caller=\"anonymous\",kind=\"prompt\"}",
    ] {
        assert_eq!(sidecar.value(counts), 0.0, "an estimate is no count");
    }
}
