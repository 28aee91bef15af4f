//! The end of a sidecar.

use std::time::Duration;

use tokio::net::TcpStream;

use super::harness::*;

#[tokio::test]
async fn what_runs_may_end_and_nothing_begins() {
    let mut upstream = upstream().await;
    let mut sidecar = sidecar(config(upstream.addr)).await;
    let idle = sidecar.send("").await;
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;

    sidecar.stop();
    // One that asks for nothing is closed.
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
async fn who_had_connected_before_is_answered_once() {
    let mut upstream = upstream().await;
    let mut sidecar = sidecar(config(upstream.addr)).await;
    // Nothing is kept of a connection that has asked nothing: it is taken, and that is all that can be seen.
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
    // And closed: it can ask no more.
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"), "{answer}");
    sidecar.ended().await;
}

#[tokio::test]
async fn after_the_deadline_it_is_cut_and_counted_as_ours() {
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

#[tokio::test(flavor = "multi_thread")]
async fn of_five_hundred_streams_each_ends_and_none_begins() {
    use streamgauge::simulate::{self, Simulator};
    const STREAMS: usize = 500;
    let simulator = Simulator::bind(simulate::Config {
        tokens: 30,
        rate: 5.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        parallel: STREAMS,
        contention: 0.0,
        ..simulate::Config::default()
    })
    .unwrap();
    let (ollama, truth) = (simulator.addr(), simulator.truth());
    tokio::spawn(simulator.run(std::future::pending()));
    let mut sidecar = sidecar(config(ollama)).await;
    let registry = sidecar.registry.clone();
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let mut client = sidecar.connect().await;
        client.write(&post("/api/generate", "{\"model\":\"sim\",\"prompt\":\"why\"}")).await;
        streams.spawn(client.rest());
    }
    soon(truth.until(|truth| truth.started() as usize == STREAMS)).await;
    assert_eq!(truth.ended(), 0, "all of them run");
    sidecar.stop();
    let proxy = sidecar.proxy;
    soon(async {
        while TcpStream::connect(proxy).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    while let Some(seen) = soon(streams.join_next()).await {
        let seen = seen.unwrap();
        assert!(seen.contains("\"done\":true") && seen.ends_with("0\r\n\r\n"), "{seen}");
    }
    sidecar.ended().await;
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let complete = format!("streamgauge_{} {STREAMS}", ended("generate", "sim:latest", "complete"));
    assert!(text.contains(&complete), "{text}");
}

#[tokio::test]
async fn what_the_deadline_cuts_is_no_end_for_a_client_of_http_1_0_either() {
    use tokio::io::AsyncReadExt;
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
