//! Web pages of other origins: what they may request and what they may read.

use std::{num::NonZeroU32, time::Duration};

use streamgauge::{
    admission::{Access, Digest, Key, Limits, Origins, Quota},
    sidecar::Config,
};

use crate::harness::*;

const PAGE: &str = "http://localhost:3000";
const PREFLIGHT: &str =
    "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: http://localhost:3000\r\n\r\n";

/// One request per hour.
fn once() -> Limits {
    let hour = Duration::from_secs(3600);
    Limits { requests: Some(Quota::new(NonZeroU32::MIN, hour)), ..Limits::default() }
}

fn alice(limits: Limits) -> Key {
    Key {
        name: "alice".to_owned(),
        digest: Digest::of(b"sesame"),
        limits,
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    }
}

fn with(fields: &str, request: &str) -> String {
    request.replacen("\r\n", &format!("\r\n{fields}\r\n"), 1)
}

fn preflight(path: &str, method: &str, fields: &str) -> String {
    format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nOrigin: {PAGE}\r\n\
         Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: authorization\r\n{fields}\r\n"
    )
}

/// The head of a response in lower case.
fn head(response: &str) -> String {
    response.split_once("\r\n\r\n").expect("a head").0.to_lowercase()
}

fn may_be_read(response: &str) -> bool {
    let head = head(response);
    let exposed = head.lines().find_map(|line| line.strip_prefix("access-control-expose-headers: "));
    head.contains(&format!("access-control-allow-origin: {PAGE}"))
        && head.contains("vary: origin")
        && exposed.is_some_and(|names| {
            ["retry-after", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests"]
                .iter()
                .all(|name| names.contains(name))
        })
}

fn guarded(upstream: &Upstream) -> Config {
    let mut config = config(upstream.addr);
    config.admission.require_key = true;
    config.admission.keys = vec![alice(Limits::default())];
    config.admission.routes = Access::of(["chat", "tags"]).unwrap();
    config
}

#[tokio::test]
async fn preflight_of_open_route_passes_without_key_and_uses_no_limit() {
    let mut upstream = upstream().await;
    let mut config = guarded(&upstream);
    config.admission.anonymous = once();
    let sidecar = sidecar(config).await;
    for (path, method) in [("/api/chat", "POST"), ("/api/chat", "POST"), ("/api/tags", "GET")] {
        let client = sidecar.send(&preflight(path, method, "")).await;
        let mut asked = upstream.asked().await;
        assert!(asked.head.starts_with(&format!("OPTIONS {path} HTTP/1.1\r\n")), "{}", asked.head);
        assert!(asked.head.contains("Access-Control-Request-Headers: authorization\r\n"), "{}", asked.head);
        asked.write(PREFLIGHT).await;
        let seen = client.rest().await;
        assert!(seen.starts_with("HTTP/1.1 204 "), "{seen}");
        // Ollama's own response, unchanged.
        assert!(!seen.to_lowercase().contains("expose"), "{seen}");
    }
}

#[tokio::test]
async fn preflight_with_key_is_forwarded_without_it() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(guarded(&upstream)).await;
    let client = sidecar
        .send(&preflight("/api/chat", "POST", "Authorization: Bearer sesame\r\nX-Api-Key: sesame\r\n"))
        .await;
    let mut asked = upstream.asked().await;
    assert!(!asked.head.contains("sesame"), "{}", asked.head);
    asked.write(PREFLIGHT).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn preflight_of_closed_route_or_malformed_is_refused() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(guarded(&upstream)).await;
    let chat = || preflight("/api/chat", "POST", "");
    for (request, status) in [
        (preflight("/api/delete", "DELETE", ""), 403),
        (preflight("/api/%64elete", "DELETE", ""), 403),
        // A route that exists with another method only.
        (preflight("/api/chat", "GET", ""), 403),
        (preflight("/api/chat", "POST", "Content-Length: 2\r\n") + "{}", 401),
        (preflight("/api/chat", "POST", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 401),
        (chat().replace("OPTIONS", "POST"), 401),
        (chat().replace("Access-Control-Request-Method: POST\r\n", ""), 401),
        (chat().replace(&format!("Origin: {PAGE}\r\n"), ""), 401),
    ] {
        let seen = sidecar.exchange(&request).await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {seen}");
        assert_eq!(may_be_read(&seen), request.contains("Origin"), "{request}: {seen}");
    }
    upstream.was_not_asked();
}

#[tokio::test]
async fn cors_refusal_is_readable_by_origins_that_ollama_accepts() {
    let mut upstream = upstream().await;
    let mut config = guarded(&upstream);
    config.admission.keys = vec![alice(once())];
    let sidecar = sidecar(config).await;
    let key = "Authorization: Bearer sesame";
    let chat = post_once("/api/chat", "{}");
    // The one request that is admitted: the fields that the sidecar adds to Ollama's response can be read as well.
    let client = sidecar.send(&with(&format!("Origin: {PAGE}\r\n{key}"), &chat)).await;
    let mut asked = upstream.asked().await;
    asked
        .write(&format!(
            "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: {PAGE}\r\nVary: Origin\r\nContent-Length: 2\r\n\r\nok"
        ))
        .await;
    let seen = client.rest().await;
    assert!(seen.starts_with("HTTP/1.1 200 ") && may_be_read(&seen), "{seen}");
    for (request, status) in [
        (with("Authorization: Bearer wrong", &chat), 401),
        (with(key, &post_once("/api/pull", "{}")), 403),
        (with(key, &chat), 429),
        (chat.replacen("Host: localhost\r\n", "", 1), 400),
    ] {
        for (origin, reads) in [
            (Some(PAGE), true),
            (Some("https://example.org"), false),
            (Some("http://localhost.example.org"), false),
            (Some("null"), false),
            (None, false),
        ] {
            let request =
                origin.map_or_else(|| request.clone(), |origin| with(&format!("Origin: {origin}"), &request));
            let seen = sidecar.exchange(&request).await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {seen}");
            assert_eq!(may_be_read(&seen), reads, "{request}: {seen}");
            assert_eq!(head(&seen).contains("access-control"), reads, "{request}: {seen}");
            assert_eq!(head(&seen).contains("retry-after:"), status == 429, "{seen}");
        }
    }
}

#[tokio::test]
async fn cors_listed_origin_can_read_upstream_failure() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = config(nobody);
    config.admission.origins = Origins::of(["https://chat.example"]).unwrap();
    let sidecar = sidecar(config).await;
    let seen = sidecar.exchange(&with("Origin: https://chat.example", &post_once("/api/chat", "{}"))).await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
    assert!(head(&seen).contains("access-control-allow-origin: https://chat.example"), "{seen}");
}

#[tokio::test]
async fn cors_wildcard_lets_every_origin_read() {
    let mut upstream = upstream().await;
    let mut config = guarded(&upstream);
    config.admission.origins = Origins::of(["*"]).unwrap();
    let sidecar = sidecar(config).await;
    let seen = sidecar.exchange(&with("Origin: null", &post_once("/api/chat", "{}"))).await;
    assert!(seen.starts_with("HTTP/1.1 401 "), "{seen}");
    let head = head(&seen);
    assert!(head.contains("access-control-allow-origin: *") && !head.contains("vary"), "{seen}");
    upstream.was_not_asked();
}
