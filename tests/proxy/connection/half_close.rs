//! Clients that close their half of the connection and continue to read: this counts as a disconnect, as with
//! nginx.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

/// The rest that the client receives. A reset ends it as well.
async fn rest(mut client: Client) -> String {
    let mut seen = Vec::new();
    let _ = soon(client.stream.read_to_end(&mut seen)).await;
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn half_close_before_response_head_cancels_request() {
    let (_upstream, sidecar, mut client, mut asked) = generating().await;
    client.stream.shutdown().await.unwrap();
    asked.is_left().await;
    assert_eq!(rest(client).await, "");
    sidecar.until(&ended("generate", "other", "client_abort"), 1.0).await;
}

#[tokio::test]
async fn half_close_during_stream_cancels_it_and_response_looks_cut() {
    let (_upstream, sidecar, mut client, mut asked) = streaming().await;
    client.stream.shutdown().await.unwrap();
    asked.is_left().await;
    // Its chunk ends, and no last chunk follows.
    let rest = rest(client).await;
    assert!(["", "\r\n"].contains(&rest.as_str()), "{rest:?}");
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;
}

#[tokio::test]
async fn half_close_after_complete_response_is_no_abort() {
    let (_upstream, sidecar, mut client, mut asked) = generating().await;
    asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    client.until("\r\n0\r\n\r\n").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(rest(client).await, "");
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
    assert_eq!(sidecar.value(&ended("generate", "m:latest", "client_abort")), 0.0);
}
