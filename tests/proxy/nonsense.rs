//! Requests that make no sense, or too much.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::harness::*;

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
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
async fn a_head_that_is_too_slow_is_cut_off() {
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
async fn a_body_that_stops_is_408() {
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
async fn beyond_the_last_connection_clients_are_turned_away() {
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
    // The admin address has places of its own.
    assert_eq!(sidecar.page("/livez").await.0, 200);
}

const VERSION: &str = "GET /api/version HTTP/1.1\r\nHost: h\r\n\r\n";

/// Asks until it is let in.
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
async fn who_asks_nothing_gives_way_when_all_connections_are_taken() {
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

    // The one that has waited longest goes, and what it was told before was whole.
    insist(&sidecar).await;
    assert_eq!(answered.rest().await, "");
    sidecar.until("connections_open{listener=\"proxy\"}", 2.0).await;
    // Its place is taken, and the next who waits goes: a part of a head is no request.
    let another = sidecar.send(&generate()).await;
    let _another_asked = upstream.asked().await;
    insist(&sidecar).await;
    let mut seen = Vec::new();
    let mut slow = slow.stream;
    // What it was sent of the head was never read as a request: a reset says as much as an end.
    let _ = soon(slow.read_to_end(&mut seen)).await;
    assert!(seen.is_empty(), "{}", String::from_utf8_lossy(&seen));
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"idle\"}", 2.0).await;

    // Who has asked is harmed by nothing.
    asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    let rest = running.until("0\r\n\r\n").await;
    assert_eq!(rest, [&chunk(LAST), "0\r\n\r\n"].concat());
    drop(another);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_forwarded_and_its_model_unknown() {
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
async fn a_large_body_is_known_by_its_beginning() {
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

/// A chunked body without its chunks.
fn body(answer: &str) -> String {
    let (_, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body += &after[..size];
        rest = &after[size + 2..];
    }
}

#[tokio::test]
async fn records_that_make_no_sense_pass_as_they_are_and_are_counted() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    let long = format!("{{\"response\":\"{}\"}}\n", "x".repeat(10 << 20));
    let odd = ["garbage\n", "\0\u{1}\n", "{\"response\":\"\u{fffd}\"\n", long.as_str(), RECORD, "{\"half"];
    let writing = async {
        asked.write(STREAM).await;
        for record in odd {
            asked.write(&chunk(record)).await;
        }
        asked.write("0\r\n\r\n").await;
    };
    let (seen, ()) = tokio::join!(client.rest(), writing);
    assert_eq!(body(&seen), odd.concat());
    sidecar.until("records_unscanned_total{reason=\"malformed\"}", 4.0).await;
    sidecar.until("records_unscanned_total{reason=\"too_long\"}", 1.0).await;
    sidecar.until("records_total{model=\"m:latest\",kind=\"content\"}", 1.0).await;
    sidecar.until(&ended("generate", "m:latest", "truncated"), 1.0).await;
}

#[tokio::test]
async fn fragment_in_the_target_of_a_pipelined_request_is_refused() {
    let fragment = "GET /case#part HTTP/1.1\r\nHost: h\r\n\r\n";
    for first in [
        "GET /first HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        post("/first", "GET /#a HTTP/1.1\r\n\r\n"),
        "POST /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            .to_owned(),
    ] {
        // In one piece, after the first was asked for, and in the middle of the target.
        for cut in [first.len() + fragment.len(), first.len(), first.len() + 6] {
            let mut upstream = upstream().await;
            let sidecar = sidecar(config(upstream.addr)).await;
            let whole = [&first[..], fragment].concat();
            let mut client = sidecar.send(&whole[..cut]).await;
            let mut asked = upstream.asked().await;
            assert!(asked.head.contains(" /first HTTP/1.1"), "{}", asked.head);
            client.write(&whole[cut..]).await;
            asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            let seen = client.rest().await;
            assert!(seen.starts_with("HTTP/1.1 200 "), "{cut}: {seen}");
            assert!(seen.contains("\r\n\r\n{}HTTP/1.1 400 "), "{cut}: {seen}");
            upstream.was_not_asked();
            assert_eq!(sidecar.value("requests_malformed_total{reason=\"target\"}"), 1.0);
        }
    }
}
