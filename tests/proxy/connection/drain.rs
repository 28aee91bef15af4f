//! The end of a sidecar.

use std::time::Duration;

use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::harness::*;

#[tokio::test]
async fn drain_lets_running_requests_complete_and_accepts_no_new_ones() {
    let mut upstream = upstream().await;
    let mut sidecar = sidecar(config(upstream.addr)).await;
    let idle = sidecar.send("").await;
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;

    sidecar.stop();
    // An idle connection is closed.
    assert_eq!(idle.rest().await, "");
    let (status, why) = sidecar.page("/readyz").await;
    assert_eq!((status, why.as_str()), (503, "draining\n"));
    assert!(TcpStream::connect(sidecar.proxy).await.is_err(), "it still listens");

    asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(client.rest().await.ends_with("0\r\n\r\n"));
    assert_eq!(sidecar.value(&ended("generate", "m:latest", "complete")), 1.0);
    sidecar.ended().await;
}

#[tokio::test]
async fn drain_answers_one_request_of_client_that_connected_before() {
    let mut upstream = upstream().await;
    let mut sidecar = sidecar(config(upstream.addr)).await;
    // A connection without a request has no state to check, except that it was accepted.
    let mut client = sidecar.connect().await;
    sidecar.until("connections_open{listener=\"proxy\"}", 1.0).await;
    sidecar.stop();
    soon(async {
        while sidecar.page("/readyz").await.1 != "draining\n" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    client.write(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    // It is closed, so it can send no further request.
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"), "{answer}");
    sidecar.ended().await;
}

#[tokio::test]
async fn drain_deadline_cuts_stream_and_counts_it_as_refused() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.drain_timeout = Duration::from_millis(100);
    let mut sidecar = sidecar(config).await;
    let registry = sidecar.registry.clone();
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    sidecar.stop();
    sidecar.ended().await;
    asked.is_left().await;
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let refused = format!("streamgauge_{} 1", ended("generate", "m:latest", "refused"));
    assert!(text.contains(&refused), "{text}");
}

#[tokio::test]
async fn stream_that_ends_with_the_sidecar_counts_as_refused_and_not_as_client_abort() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let registry = sidecar.registry.clone();
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    // A second signal drops the sidecar.
    sidecar.aborted().await;
    asked.is_left().await;
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let refused = format!("streamgauge_{} 1", ended("generate", "m:latest", "refused"));
    assert!(text.contains(&refused), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_completes_500_streams_and_accepts_no_new_ones() {
    const STREAMS: usize = 500;
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    // However long a busy machine takes.
    config.drain_timeout = Duration::from_secs(600);
    let mut sidecar = sidecar(config).await;
    let registry = sidecar.registry.clone();
    let (mut streams, mut held) = (tokio::task::JoinSet::new(), Vec::new());
    for _ in 0..STREAMS {
        let mut client = sidecar.send(&generate()).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
        client.until(RECORD).await;
        streams.spawn(async move {
            let mut rest = String::new();
            client.stream.read_to_string(&mut rest).await.unwrap();
            rest
        });
        held.push(asked);
    }
    sidecar.stop();
    let proxy = sidecar.proxy;
    soon(async {
        while TcpStream::connect(proxy).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    upstream.was_not_asked();
    assert!(streams.try_join_next().is_none(), "all of them run");
    for asked in &mut held {
        asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    }
    while let Some(seen) = soon(streams.join_next()).await {
        let seen = seen.unwrap();
        assert!(seen.contains("\"done\":true") && seen.ends_with("0\r\n\r\n"), "{seen}");
    }
    sidecar.ended().await;
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let complete = format!("streamgauge_{} {STREAMS}", ended("generate", "m:latest", "complete"));
    assert!(text.contains(&complete), "{text}");
}

#[tokio::test]
async fn drain_deadline_cut_never_looks_complete_to_http_1_0_client() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.drain_timeout = Duration::from_millis(100);
    let mut sidecar = sidecar(config).await;
    let mut client =
        sidecar.send("POST /api/generate HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}").await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    sidecar.stop();
    let error = soon(client.stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    sidecar.ended().await;
}
