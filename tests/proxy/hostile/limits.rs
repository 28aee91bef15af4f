//! Limits of heads, bodies and connections: their size, their number and their time.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::{answer, strict::strict};
use crate::harness::*;

#[tokio::test]
async fn head_over_max_head_gets_431() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.max_head = 8 << 10;
    let sidecar = sidecar(config).await;
    let mut client = sidecar.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: h\r\nX-Large: {}\r\n\r\n", "a".repeat(9 << 10))).await;
    let seen = client.until("\r\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 431 "), "{seen}");
    sidecar.until("requests_malformed_total{reason=\"head_too_large\"}", 1.0).await;
    upstream.was_not_asked();
}

#[tokio::test]
async fn head_slower_than_header_timeout_is_cut() {
    let upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.header_timeout = Duration::from_millis(100);
    let sidecar = sidecar(config).await;
    let client = sidecar.send("GET / HTTP/1.1\r\nHo").await;
    client.rest().await;
    sidecar.until("requests_malformed_total{reason=\"head_timeout\"}", 1.0).await;
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
}

#[tokio::test]
async fn body_that_stops_gets_408() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.body_idle_timeout = Duration::from_millis(100);
    let sidecar = sidecar(config).await;
    let seen = sidecar.exchange("POST /api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{").await;
    assert!(seen.starts_with("HTTP/1.1 408 "), "{seen}");
    // The same while it is forwarded.
    let client =
        sidecar.send("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc").await;
    let mut asked = upstream.asked().await;
    let seen = client.rest().await;
    assert!(seen.starts_with("HTTP/1.1 408 "), "{seen}");
    asked.is_left().await;
    sidecar.until("requests_malformed_total{reason=\"body_timeout\"}", 2.0).await;
    sidecar.until(&ended("blobs", "none", "client_error"), 1.0).await;
}

#[tokio::test]
async fn connection_over_max_connections_gets_503() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.max_connections = 2;
    let sidecar = sidecar(config).await;
    let _held = [sidecar.send(&generate()).await, sidecar.send(&generate()).await];
    let _running = [upstream.asked().await, upstream.asked().await];
    let seen = sidecar.connect().await.rest().await;
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: 1"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}: {}", body.len());
    assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"].is_string());
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"max_connections\"}", 1.0).await;
    // The admin address has its own connection limit.
    assert_eq!(sidecar.page("/livez").await.0, 200);
}

const VERSION: &str = "GET /api/version HTTP/1.1\r\nHost: h\r\n\r\n";

/// Retries until it is accepted.
async fn insist(sidecar: &Sidecar) {
    let once = VERSION.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    let let_in = async {
        while !sidecar.exchange(&once).await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    };
    soon(let_in).await;
}

#[tokio::test]
async fn idle_connection_is_replaced_when_max_connections_is_reached() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.max_connections = 3;
    let sidecar = sidecar(config).await;
    let mut running = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    running.until(&chunk(RECORD)).await;
    let mut answered = sidecar.send(VERSION).await;
    assert!(answered.until("{}").await.starts_with("HTTP/1.1 200 "));
    let slow = sidecar.send("GET /api/version HTTP/1.1\r\nHo").await;
    sidecar.until("connections_open{listener=\"proxy\"}", 3.0).await;

    // The connection that has waited longest closes, and its earlier response was complete.
    insist(&sidecar).await;
    assert_eq!(answered.rest().await, "");
    sidecar.until("connections_open{listener=\"proxy\"}", 2.0).await;
    // Its place is taken, and the next waiting connection closes: a part of a head is not a request.
    let another = sidecar.send(&generate()).await;
    let _another_asked = upstream.asked().await;
    insist(&sidecar).await;
    let mut seen = Vec::new();
    let mut slow = slow.stream;
    // The part of the head was never read, so that a reset is as good as an end.
    let _ = soon(slow.read_to_end(&mut seen)).await;
    assert!(seen.is_empty(), "{}", String::from_utf8_lossy(&seen));
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"idle\"}", 2.0).await;

    // A running request is not affected.
    asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    let rest = running.until("0\r\n\r\n").await;
    assert_eq!(rest, [&chunk(LAST), "0\r\n\r\n"].concat());
    drop(another);
}

#[tokio::test]
async fn oversized_target_field_or_head_is_refused() {
    let strict = strict().await;
    let sidecar = sidecar(config(strict.addr)).await;
    let fields = |count: usize| (0..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
    for (request, statuses) in [
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(70 << 10)), ["414", "431"]),
        (format!("GET /?{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1 << 20)), ["414", "431"]),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX-{}: a\r\n\r\n", "a".repeat(70 << 10)), ["400", "431"]),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(70 << 10)), ["431", "431"]),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields(1000)), ["431", "431"]),
        (format!("{} / HTTP/1.1\r\nHost: h\r\n\r\n", "A".repeat(70 << 10)), ["400", "431"]),
    ] {
        let seen = answer(&sidecar, &request).await;
        let is_told = statuses.iter().any(|status| seen.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(is_told, "{}: {seen}", &request[..40]);
        assert!(strict.take().arrived.is_empty(), "{}", &request[..40]);
    }
    sidecar.until_some("requests_malformed_total{reason=\"head_too_large\"}").await;
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
}

#[tokio::test]
async fn head_sent_byte_by_byte_has_only_the_header_timeout() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.proxy.header_timeout = Duration::from_millis(300);
    let sidecar = sidecar(config).await;
    let began = Instant::now();
    let mut client = sidecar.send("GET / HTTP/1.1\r\nHost: h\r\nX: ").await;
    let dripping = async {
        while client.stream.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(dripping).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    sidecar.until("requests_malformed_total{reason=\"head_timeout\"}", 1.0).await;
}

#[tokio::test]
async fn request_with_over_256_fields_gets_431_that_names_the_limit() {
    let strict = strict().await;
    let sidecar = sidecar(config(strict.addr)).await;
    let request = |count: usize| {
        let fields = (2..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
        format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n")
    };
    assert!(sidecar.exchange(&request(256)).await.starts_with("HTTP/1.1 200 "));
    assert!(strict.take().arrived[0].head.contains("X-255: a"));
    for count in [257, 300, 1000, 5000] {
        let seen = answer(&sidecar, &request(count)).await;
        assert!(seen.starts_with("HTTP/1.1 431 ") && seen.contains("256 header fields"), "{count}: {seen}");
    }
    assert!(strict.take().arrived.is_empty());
}
