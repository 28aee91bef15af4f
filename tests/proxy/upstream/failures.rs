//! Upstreams that fail, and the client's response.

use std::time::Duration;

use tokio::{net::TcpListener, time::Instant};

use crate::harness::*;

/// An address on which no program listens.
async fn nobody() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn dead_upstream_gets_502_in_error_format_of_client() {
    let sidecar = sidecar(config(nobody().await)).await;
    let why = "upstream \\\"gpu0\\\" is unreachable: Connection refused";
    for (path, beginning) in [
        ("/api/chat", "{\"error\":\""),
        ("/v1/chat/completions", "{\"error\":{"),
        ("/v1/messages", "{\"error\":{"),
    ] {
        let seen = sidecar.exchange(&post_once(path, "{\"model\":\"m\"}")).await;
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
        assert!(head.contains("content-type: application/json") && head.contains("date: "), "{head}");
        assert!(body.starts_with(beginning) && body.contains(why), "{body}");
        assert_eq!(body.contains("\"type\":\"error\""), path == "/v1/messages", "{body}");
    }
    sidecar.until(&ended("chat", "other", "upstream_error"), 1.0).await;
    sidecar.until("responses_total{route=\"openai_chat\",code=\"502\"}", 1.0).await;
}

#[tokio::test]
async fn slow_response_head_gets_504_and_cancels_upstream() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.response_timeout = Duration::from_millis(200);
    let sidecar = sidecar(config).await;
    let began = Instant::now();
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    let seen = client.until("}").await;
    assert!(seen.starts_with("HTTP/1.1 504 "), "{seen}");
    assert!(seen.contains("sent no response within 200ms"), "{seen}");
    assert!(began.elapsed() >= Duration::from_millis(200));
    asked.is_left().await;
    sidecar.until(&ended("generate", "other", "upstream_error"), 1.0).await;
}

#[tokio::test]
async fn silent_stream_is_cut_and_received_bytes_are_delivered() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.silence_timeout = Duration::from_millis(200);
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    let seen = client.rest().await;
    assert!(seen.ends_with(&chunk(RECORD)), "no end is told, and nothing is lost: {seen}");
    asked.is_left().await;
    sidecar.until(&ended("generate", "m:latest", "upstream_error"), 1.0).await;
}

#[tokio::test]
async fn cut_stream_never_looks_complete() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (answer, tail) in [
        (format!("{STREAM}{}", chunk(RECORD)), chunk(RECORD)),
        (format!("{STREAM}{}1F", chunk(RECORD)), chunk(RECORD)),
        (format!("{STREAM}{}zz\r\nnonsense", chunk(RECORD)), chunk(RECORD)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(), "\r\n\r\nhalf".to_owned()),
    ] {
        let client = sidecar.send(&generate()).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&answer).await;
        drop(asked);
        let seen = client.rest().await;
        assert!(seen.ends_with(&tail), "{answer:?} became {seen:?}");
    }
    sidecar.until(&ended("generate", "m:latest", "upstream_error"), 4.0).await;
}

#[tokio::test]
async fn cut_stream_never_looks_complete_to_http_1_0_client() {
    use tokio::io::AsyncReadExt;
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client =
        sidecar.send("POST /api/generate HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}").await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    drop(asked);
    let error = soon(client.stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn malformed_response_gets_502() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for answer in [
        "NONSENSE\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "",
    ] {
        let mut client = sidecar.send(&generate()).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(answer).await;
        drop(asked);
        let seen = client.until("}").await;
        assert!(seen.starts_with("HTTP/1.1 502 "), "{answer:?}: {seen}");
    }
    sidecar.until(&ended("generate", "other", "upstream_error"), 4.0).await;
}

#[tokio::test]
async fn endless_response_head_gets_502_and_takes_no_memory() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write("HTTP/1.1 200 OK\r\nX-Endless: ").await;
    let endless = async {
        use tokio::io::AsyncWriteExt;
        let filler = [b'a'; 64 << 10];
        let mut sent = 0;
        while asked.stream.write_all(&filler).await.is_ok() {
            sent += filler.len();
        }
        sent
    };
    let sent = soon(endless).await;
    assert!(client.until("}").await.starts_with("HTTP/1.1 502 "));
    assert!(sent < 16 << 20, "{sent} bytes were taken");
}

#[tokio::test]
async fn unaccepted_upstream_connection_gets_504() {
    // Nobody accepts, and the queue of waiting connections is full.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = socket.listen(1).unwrap();
    let addr = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    let short = Duration::from_millis(100);
    while let Ok(connected) = tokio::time::timeout(short, tokio::net::TcpStream::connect(addr)).await {
        waiting.push(connected.unwrap());
    }
    let mut config = config(addr);
    config.upstream.connect_timeout = short;
    let sidecar = sidecar(config).await;
    let seen = sidecar.exchange(&post_once("/api/chat", "{}")).await;
    assert!(seen.starts_with("HTTP/1.1 504 "), "{seen}");
    assert!(seen.contains("did not accept a connection within 100ms"), "{seen}");
}

#[tokio::test]
async fn failed_response_head_is_upstream_error_and_not_client_abort() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sidecar = sidecar(config(nobody)).await;
    let seen = sidecar.exchange("HEAD /api/tags HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 502 ") && seen.ends_with("\r\n\r\n"), "{seen}");
    sidecar.until(&ended("tags", "none", "upstream_error"), 1.0).await;
}
