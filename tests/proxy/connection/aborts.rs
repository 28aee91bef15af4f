//! Clients that disconnect.

use crate::harness::*;

#[tokio::test]
async fn client_that_leaves_during_stream_cancels_it() {
    let (_upstream, sidecar, client, mut asked) = streaming().await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}", 0.0).await;
}

#[tokio::test]
async fn client_that_leaves_with_pipelined_request_cancels_stream() {
    for is_together in [true, false] {
        let mut upstream = upstream().await;
        let sidecar = sidecar(config(upstream.addr)).await;
        let mut client = sidecar.send(&generate().repeat(1 + usize::from(is_together))).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
        client.until(RECORD).await;
        if !is_together {
            client.write(&generate()).await;
        }
        // A part of one more request, which hyper has no reason to read.
        client.write(&generate()[..20]).await;
        drop(client);
        asked.is_left().await;
        sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
        upstream.was_not_asked();
    }
}

#[tokio::test]
async fn client_that_leaves_with_much_unread_data_cancels_stream() {
    let (mut upstream, sidecar, mut client, mut asked) = streaming().await;
    client.write(&generate().repeat(1000)).await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
    upstream.was_not_asked();
}

#[tokio::test]
async fn client_that_leaves_with_unread_body_cancels_request() {
    for body in ["5\r\nhello\r\n", "5\r\nhello\r\n0\r\n\r\n"] {
        let mut upstream = upstream().await;
        let sidecar = sidecar(config(upstream.addr)).await;
        let get = "GET /v1/models HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let client = sidecar.send(&[get, body].concat()).await;
        let mut asked = upstream.asked().await;
        drop(client);
        asked.is_left().await;
        sidecar.until(&ended("openai_models", "none", "client_abort"), 1.0).await;
    }
}

#[tokio::test]
async fn client_of_http_1_0_that_half_closes_sees_no_complete_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&generate().replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    client.stream.shutdown().await.unwrap();
    asked.is_left().await;
    // The end of the connection would end the response.
    let end = soon(client.stream.read(&mut [0])).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
}

#[tokio::test]
async fn client_that_leaves_before_response_head_cancels_request() {
    let (_upstream, sidecar, client, mut asked) = generating().await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("generate", "other", "client_abort"), 1.0).await;
}

#[tokio::test]
async fn client_that_leaves_during_upload_cancels_request() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client =
        sidecar.send("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc").await;
    let mut asked = upstream.asked().await;
    assert_eq!(asked.body(3).await, "abc");
    client.write("d").await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("blobs", "none", "client_abort"), 1.0).await;
}

#[tokio::test]
async fn client_that_leaves_while_body_is_read_ahead_cancels_request() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    drop(sidecar.send("POST /api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{").await);
    let left = "requests_total{upstream=\"none\",route=\"chat\",model=\"unknown\",outcome=\"client_abort\"}";
    sidecar.until(left, 1.0).await;
    upstream.was_not_asked();
    assert_eq!(sidecar.value("responses_total{route=\"chat\",code=\"400\"}"), 0.0, "nobody was sent one");
}

#[tokio::test]
async fn client_that_leaves_after_last_record_is_no_abort() {
    let (_upstream, sidecar, mut client, mut asked) = generating().await;
    asked.write(&[STREAM, &chunk(LAST)].concat()).await;
    client.until(LAST).await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
}

#[tokio::test]
async fn client_that_does_not_read_holds_bounded_part_of_stream() {
    use tokio::io::AsyncWriteExt;
    let (_upstream, sidecar, client, mut asked) = generating().await;
    asked.write(STREAM).await;
    let piece = chunk(&"a".repeat(64 << 10));
    // Back pressure: at some point nothing more is read.
    let mut sent = 0;
    while tokio::time::timeout(
        std::time::Duration::from_millis(500),
        asked.stream.write_all(piece.as_bytes()),
    )
    .await
    .is_ok()
    {
        sent += piece.len();
        assert!(sent < 64 << 20, "it takes everything");
    }
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
}
