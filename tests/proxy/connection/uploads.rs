//! Uploads that an upstream refuses or does not read, and clients that abort them.

use std::time::Duration;

use streamgauge::upstream::{Policy, UpstreamConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    task::JoinHandle,
    time::timeout,
};

use crate::harness::*;

const LENGTH: usize = 64 << 20;

/// The head of an upload whose body does not fit into the buffers on its way.
fn upload(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n")
}

/// Writes a body until nothing more is accepted for a while, or until its end.
async fn fill(client: &mut Client) {
    let piece = [b'x'; 64 << 10];
    let mut left = LENGTH;
    while left > 0 {
        let short = Duration::from_millis(300);
        match timeout(short, client.stream.write(&piece[..left.min(piece.len())])).await {
            Ok(Ok(count)) => left -= count,
            _ => return,
        }
    }
    panic!("all of it was taken");
}

/// Writes as much of a body as is accepted, while its client reads.
fn pour(client: Client) -> (OwnedReadHalf, JoinHandle<OwnedWriteHalf>) {
    let (reading, mut writing) = client.stream.into_split();
    let upload = tokio::spawn(async move {
        let piece = [b'x'; 64 << 10];
        for _ in 0..LENGTH / piece.len() {
            if writing.write_all(&piece).await.is_err() {
                break;
            }
        }
        writing
    });
    (reading, upload)
}

/// Reads until the received bytes end with `end`.
async fn until(reading: &mut OwnedReadHalf, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let count = soon(reading.read_buf(&mut seen)).await.unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn upload_with_early_response_then_reset_delivers_response() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let response = "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: application/json\r\n\
                    Content-Length: 21\r\n\r\n{\"error\":\"too large\"}";
    for round in 0..20 {
        let (mut reading, upload) = pour(sidecar.send(&upload("/api/create")).await);
        let mut asked = upstream.asked().await;
        // Unread bytes turn the end of the connection into a reset.
        soon(asked.stream.readable()).await.unwrap();
        asked.write(response).await;
        drop(asked);
        let seen = until(&mut reading, "}").await;
        assert!(seen.starts_with("HTTP/1.1 413 "), "round {round}: {seen}");
        drop(soon(upload).await.unwrap());
    }
    sidecar.until(&ended("create", "unknown", "client_error"), 20.0).await;
}

#[tokio::test]
async fn upload_response_ended_by_reset_never_looks_complete() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for round in 0..5 {
        let mut client = sidecar.send(&upload("/api/blobs/sha256:1")).await;
        let mut asked = upstream.asked().await;
        fill(&mut client).await;
        // The response ends with its connection, which is reset.
        asked
            .write("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"status\":\"a\"}\n")
            .await;
        drop(asked);
        let mut seen = Vec::new();
        // A reset is an end as well.
        let _ = soon(client.stream.read_to_end(&mut seen)).await;
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.starts_with("HTTP/1.1 200 "), "round {round}: {seen}");
        assert!(!seen.ends_with("0\r\n\r\n"), "round {round}: {seen}");
    }
    sidecar.until(&ended("blobs", "none", "upstream_error"), 5.0).await;
}

#[tokio::test]
async fn upload_that_upstream_does_not_read_gets_504() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.body_idle_timeout = Duration::from_secs(1);
    config.upstream.response_timeout = Duration::from_secs(1);
    let sidecar = sidecar(config).await;
    for path in ["/api/blobs/sha256:1", "/api/generate"] {
        let (mut reading, upload) = pour(sidecar.send(&upload(path)).await);
        let mut asked = upstream.asked().await;
        let seen = until(&mut reading, "}").await;
        assert!(seen.starts_with("HTTP/1.1 504 "), "{path}: {seen}");
        let why = "upstream \\\"gpu0\\\" accepted no part of the request for 1s";
        assert!(seen.contains(why), "{path}: {seen}");
        drop(soon(upload).await.unwrap());
        asked.is_left().await;
    }
    sidecar.until(&ended("blobs", "none", "upstream_error"), 1.0).await;
    sidecar.until(&ended("generate", "unknown", "upstream_error"), 1.0).await;
    assert_eq!(sidecar.value("requests_malformed_total{reason=\"body_timeout\"}"), 0.0);
}

#[tokio::test]
async fn upload_that_is_slow_but_progresses_does_not_time_out() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.body_idle_timeout = Duration::from_secs(2);
    let sidecar = sidecar(config).await;
    let length = 16 << 20;
    let mut client = sidecar
        .send(&format!("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"))
        .await;
    let mut asked = upstream.asked().await;
    let took = tokio::spawn(async move {
        // Longer than the limit in total, and never that long without accepting anything.
        let mut piece = vec![0; 1 << 20];
        for _ in 0..16 {
            soon(asked.stream.read_exact(&mut piece)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        asked.write("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
    });
    soon(client.stream.write_all(&vec![b'x'; length])).await.unwrap();
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 201 "));
    soon(took).await.unwrap();
    sidecar.until(&ended("blobs", "none", "complete"), 1.0).await;
}

#[tokio::test]
async fn upload_left_by_client_while_unread_is_detected() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&upload("/api/blobs/sha256:1")).await;
    let mut asked = upstream.asked().await;
    fill(&mut client).await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    // It does not accept more, since the sidecar would then read on until the reset.
    sidecar.until(&ended("blobs", "none", "client_abort"), 1.0).await;
    asked.is_left().await;
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"blobs\"}", 0.0).await;
}

/// Aborts uploads during their responses: the clients disconnect, or send nothing for `idle`. Returns the count of
/// each outcome.
async fn broken_off(rounds: usize, leaves: bool, idle: Duration) -> [f64; 3] {
    let (one, other) = (upstream().await, upstream().await);
    let mut upstreams = [one, other];
    let mut config = config(upstreams[0].addr);
    let second = format!("http://{}", upstreams[1].addr).parse().unwrap();
    config.upstream.upstreams.push(UpstreamConfig::new("gpu1", second));
    config.upstream.choose = Policy::RoundRobin;
    config.proxy.body_idle_timeout = idle;
    let sidecar = sidecar(config).await;
    let head = "POST /api/generate HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    // More than is read ahead, so that the rest is on its way when the response comes.
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{}", "p".repeat(2 << 20));
    let mut asked_of = [0, 0];
    for _ in 0..rounds {
        let mut client = sidecar.connect().await;
        let [first, second] = &mut upstreams;
        client.write(&format!("{head}{}", chunk(&body))).await;
        let (place, mut asked) = tokio::select! {
            asked = first.asked() => (0, asked),
            asked = second.asked() => (1, asked),
        };
        asked_of[place] += 1;
        asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
        client.until(RECORD).await;
        let held = (!leaves).then_some(client);
        asked.is_left().await;
        drop(held);
    }
    // Neither upstream counts as failed: they are used in turn.
    assert_eq!(asked_of, [rounds / 2; 2]);
    let total = |outcome: &str| {
        let of = |upstream: &str| {
            format!(
                "requests_total{{upstream=\"{upstream}\",route=\"generate\",model=\"m:latest\",outcome=\"{outcome}\"}}"
            )
        };
        sidecar.value(&of("gpu0")) + sidecar.value(&of("gpu1"))
    };
    let totals = || ["client_abort", "client_error", "upstream_error"].map(total);
    let all = async {
        while totals().iter().sum::<f64>() < rounds as f64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(all).await;
    totals()
}

#[tokio::test]
async fn upload_broken_off_during_response_is_counted_as_fault_of_client() {
    // A client that disconnects has time to do so, so that a busy machine does not take it for one that stops.
    let (left, stopped) = tokio::join!(
        broken_off(6, true, Duration::from_secs(600)),
        broken_off(2, false, Duration::from_secs(3))
    );
    assert_eq!(left, [6.0, 0.0, 0.0]);
    assert_eq!(stopped, [0.0, 2.0, 0.0]);
}
