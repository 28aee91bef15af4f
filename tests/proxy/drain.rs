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
