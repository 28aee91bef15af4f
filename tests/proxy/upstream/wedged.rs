//! Silences that mean that an Ollama is wedged, and silences that may be its work.

use std::time::Duration;

use crate::harness::*;

const RATIO: &str = "silence_ratio{upstream=\"gpu0\"}";
const SILENT: &str = "silent_seconds{upstream=\"gpu0\"}";

/// A streamed chat that offers a tool.
fn call() -> String {
    post_once("/api/chat", "{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]}")
}

/// Sends a request, and lets the upstream answer with one record and no more.
async fn begin(sidecar: &Sidecar, upstream: &mut Upstream, request: &str) -> (Client, Asked) {
    let mut client = sidecar.send(request).await;
    let mut asked = upstream.asked().await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    (client, asked)
}

#[tokio::test]
async fn wedged_is_reported_for_stopped_stream_and_not_for_tool_call_alone() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;

    let call = begin(&sidecar, &mut upstream, &call()).await;
    sidecar.until_some(SILENT).await;
    assert_eq!(sidecar.value(RATIO), 0.0, "text came, and then a call may");
    drop(call);

    sidecar.until(SILENT, 0.0).await;
    let plain = begin(&sidecar, &mut upstream, &generate()).await;
    sidecar.until_some(RATIO).await;
    let (silent, ratio) = (sidecar.value(SILENT), sidecar.value(RATIO));
    assert!(ratio >= silent / 60.0 && ratio < 0.5, "{ratio} after {silent} s");
    drop(plain);
    sidecar.until(RATIO, 0.0).await;
}

#[tokio::test]
async fn wedged_is_judged_for_tool_calls_after_one_was_answered() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let waiting = "waiting_seconds{upstream=\"gpu0\"}";

    let clients = [sidecar.send(&call()).await, sidecar.send(&call()).await];
    let mut asked = [upstream.asked().await, upstream.asked().await];
    sidecar.until_some(waiting).await;
    assert_eq!(sidecar.value(RATIO), 0.0, "no such call was answered yet");
    // Their connections are not reused, so that the next requests are seen.
    let head = STREAM.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    for asked in &mut asked {
        asked.write(&[&head, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    }
    for client in clients {
        client.rest().await;
    }
    sidecar.until(&ended("chat", "m:latest", "complete"), 2.0).await;

    let alone = sidecar.send(&call()).await;
    let _first = upstream.asked().await;
    sidecar.until_some(waiting).await;
    assert_eq!(sidecar.value(RATIO), 0.0, "it is alone");
    let _second = (sidecar.send(&call()).await, upstream.asked().await);
    sidecar.until_some(RATIO).await;
    let (waited, ratio) = (sidecar.value(waiting), sidecar.value(RATIO));
    assert!(ratio <= (waited + 1.0) / 300.0, "{ratio} after {waited} s");
    drop(alone);
}

#[tokio::test]
async fn response_timeout_covers_tool_call_silence_and_is_off_by_default() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    assert_eq!(config.upstream.response_timeout, Duration::ZERO, "a call may take as long as its generation");
    config.upstream.response_timeout = Duration::from_millis(100);
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&call()).await;
    let mut asked = upstream.asked().await;
    let seen = client.rest().await;
    assert!(seen.starts_with("HTTP/1.1 504 "), "{seen}");
    asked.is_left().await;
}
