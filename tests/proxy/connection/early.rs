//! Responses before the end of the request body: each client reads its response, whatever it still sends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::sleep,
};

use crate::harness::*;

/// A sidecar that requires a key and knows none.
async fn closed() -> (Upstream, Sidecar) {
    let upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.require_key = true;
    config.proxy.max_connections = 3;
    let sidecar = sidecar(config).await;
    (upstream, sidecar)
}

/// The response as read by a client that writes its whole request first, as Python's http.client does.
async fn answer_after_all_is_sent(sidecar: &Sidecar, bytes: usize) -> String {
    let mut client = sidecar.connect().await;
    client.write(&format!("POST /api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n")).await;
    let piece = vec![b'a'; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        soon(client.stream.write_all(&piece[..now])).await.unwrap_or_else(|why| panic!("{left} left: {why}"));
        left -= now;
    }
    // A response that has arrived is lost if a reset arrives before it is read.
    sleep(Duration::from_millis(20)).await;
    let mut seen = Vec::new();
    soon(client.stream.read_to_end(&mut seen)).await.unwrap();
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn refused_client_that_sends_all_before_reading_gets_its_response() {
    let (_upstream, sidecar) = closed().await;
    for bytes in [100_000, 1_000_000, 5_000_000, 20_000_000] {
        for _ in 0..10 {
            let seen = answer_after_all_is_sent(&sidecar, bytes).await;
            assert!(seen.starts_with("HTTP/1.1 401 "), "{bytes} bytes: {seen}");
            assert!(seen.ends_with('}'), "{bytes} bytes: {seen}");
        }
    }
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
}

#[tokio::test]
async fn malformed_head_gets_its_response_while_client_sends_on() {
    let (_upstream, sidecar) = closed().await;
    for (head, status) in [("POST / HTTP/1.1\r\nHost : h\r\n\r\n", "400"), ("POST / HTTP/1.1\r\n\r\n", "400")]
    {
        let mut client = sidecar.send(head).await;
        for _ in 0..100 {
            soon(client.stream.write_all(&[b'a'; 10_000])).await.unwrap();
        }
        sleep(Duration::from_millis(20)).await;
        let mut seen = Vec::new();
        soon(client.stream.read_to_end(&mut seen)).await.unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {seen}");
    }
}

#[tokio::test]
async fn lingering_connection_is_counted_and_replaced_first() {
    let (_upstream, sidecar) = closed().await;
    let head = "POST /api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
    // A connection that waits for its next request longer than lingering ones do.
    let mut waiting = sidecar.send("GET /api/version HTTP/1.1\r\nHost: h\r\n\r\n").await;
    waiting.until("}").await;
    let mut lingering = [sidecar.send(head).await, sidecar.send(head).await];
    for client in &mut lingering {
        assert!(client.until("}").await.starts_with("HTTP/1.1 401 "));
    }
    sidecar.until("connections_open{listener=\"proxy\"}", 3.0).await;
    let once = "GET /api/version HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    for _ in 0..2 {
        assert!(sidecar.exchange(once).await.starts_with("HTTP/1.1 401 "));
    }
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"lingering\"}", 1.0).await;
    assert_eq!(sidecar.value("connections_refused_total{listener=\"proxy\",reason=\"idle\"}"), 0.0);
    assert_eq!(
        sidecar.value("connections_refused_total{listener=\"proxy\",reason=\"max_connections\"}"),
        0.0
    );
    waiting.write("GET /api/version HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(waiting.until("}").await.starts_with("HTTP/1.1 401 "), "it was closed");
}

#[tokio::test]
async fn client_refused_at_max_connections_gets_its_response_while_it_sends_on() {
    let (mut upstream, mut config) = {
        let upstream = upstream().await;
        let config = config(upstream.addr);
        (upstream, config)
    };
    config.proxy.max_connections = 1;
    let sidecar = sidecar(config).await;
    let _held = sidecar.send(&generate()).await;
    let _running = upstream.asked().await;
    for _ in 0..10 {
        let seen = answer_after_all_is_sent(&sidecar, 1_000_000).await;
        assert!(seen.starts_with("HTTP/1.1 503 "), "{seen}");
    }
}

#[tokio::test]
async fn records_before_cut_reach_client_that_sends_on() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for _ in 0..10 {
        // A small window, so that most of the response is still unsent when the upstream breaks off.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        let mut stream = soon(socket.connect(sidecar.proxy)).await.unwrap();
        let further = [b'a'; 3000];
        stream.write_all(generate().as_bytes()).await.unwrap();
        stream.write_all(&further).await.unwrap();
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(STREAM).await;
        for _ in 0..3000 {
            asked.write(&chunk(RECORD)).await;
        }
        drop(asked);
        sleep(Duration::from_millis(20)).await;
        let mut seen = Vec::new();
        soon(stream.read_to_end(&mut seen)).await.unwrap();
        assert_eq!(String::from_utf8(seen).unwrap().matches("\"response\"").count(), 3000);
    }
}

/// The value of `Connection` in a response.
fn connection(response: &str) -> Option<&str> {
    let (head, _) = response.split_once("\r\n\r\n").unwrap();
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("connection").then_some(value)
    })
}

#[tokio::test]
async fn refusal_before_end_of_body_announces_connection_close() {
    let (mut upstream, sidecar) = closed().await;
    for framing in ["Content-Length: 100", "Content-Length: 100000", "Transfer-Encoding: chunked"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let head = format!("POST /api/chat HTTP/1.1\r\nHost: h\r\n{framing}\r\n{expect}\r\n");
            let seen = sidecar.exchange(&head).await;
            assert!(seen.starts_with("HTTP/1.1 401 "), "{seen}");
            assert_eq!(connection(&seen), Some("close"), "{head}: {seen}");
        }
    }
    upstream.was_not_asked();
}

#[tokio::test]
async fn refusal_after_whole_body_keeps_connection_open() {
    let (_upstream, sidecar) = closed().await;
    let mut client = sidecar.connect().await;
    for request in [
        "POST /api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
        "POST /api/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        "GET /api/tags HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        client.write(request).await;
        let seen = client.until("}").await;
        assert!(seen.starts_with("HTTP/1.1 401 "), "{seen}");
        assert_eq!(connection(&seen), None, "{request}: {seen}");
    }
}

#[tokio::test]
async fn queue_refusal_before_end_of_body_announces_connection_close() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.peek_limit = 1 << 10;
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 0;
    let sidecar = sidecar(config).await;
    let _running = sidecar.send(&generate()).await;
    let _asked = upstream.asked().await;
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{}", "a".repeat(4 << 10));
    let head = "POST /api/generate HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
    let seen = sidecar.exchange(&[head, &body].concat()).await;
    assert!(seen.starts_with("HTTP/1.1 503 "), "{seen}");
    assert_eq!(connection(&seen), Some("close"), "{seen}");
}

#[tokio::test]
async fn early_response_of_closing_upstream_announces_connection_close() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (length, closes) in [(1000, Some("close")), (3, None)] {
        let head =
            format!("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\nabc");
        let mut client = sidecar.send(&head).await;
        let mut asked = upstream.asked().await;
        asked.body(3).await;
        asked.write("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").await;
        let seen = client.until("{}").await;
        assert_eq!(connection(&seen), closes, "{seen}");
    }
}
