//! `/requests` lists the requests that failed or were slow, with the reason in words and without content.

use std::time::Duration;

use serde_json::Value;

use crate::harness::*;

async fn listed(sidecar: &Sidecar) -> Vec<Value> {
    let (status, text) = sidecar.page("/requests").await;
    assert_eq!(status, 200);
    assert!(!text.contains("sesame") && !text.contains("treasure"), "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    page["requests"].as_array().unwrap().clone()
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const BODY: &str = r#"{"model":"m","prompt":"sesame"}"#;

fn prompt() -> String {
    post("/api/generate", BODY)
}

/// The next request on the connection of an earlier one.
async fn next(asked: Asked) -> Asked {
    soon(Asked::read(asked.stream)).await.expect("the connection is kept")
}

#[tokio::test]
async fn failed_request_is_listed_with_its_reason_and_its_id_of_streams() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    assert_eq!(listed(&sidecar).await, Vec::<Value>::new());
    let traced = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nHost");
    let mut client = sidecar.send(&prompt().replacen("Host", &traced, 1)).await;
    let mut asked = upstream.asked().await;
    asked.write(&[STREAM, &chunk("{\"response\":\"treasure\",\"done\":false}\n")].concat()).await;
    client.until("false}\n").await;
    let streams: Value = serde_json::from_str(&sidecar.page("/streams").await.1).unwrap();
    let id = streams["streams"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((id.len(), &id[8..]), (16, "00000001"));
    asked.write("0\r\n\r\n").await;
    sidecar.until(&ended("generate", "m:latest", "truncated"), 1.0).await;

    let [one] = &listed(&sidecar).await[..] else { panic!("one request failed") };
    assert_eq!((&one["id"], &one["trace_id"]), (&id.as_str().into(), &TRACE.into()));
    assert_eq!((&one["failed"], &one["slow"]), (&true.into(), &false.into()));
    assert_eq!(one["reason"], "the stream ended without its last record");
    assert_eq!((&one["outcome"], &one["finish"]), (&"truncated".into(), &Value::Null));
    assert_eq!((&one["caller"], &one["model"]), (&"anonymous".into(), &"m:latest".into()));
    assert_eq!((&one["upstream"], &one["status"]), (&"gpu0".into(), &200.into()));
    assert!(one["ended_at"].as_str().unwrap().ends_with('Z'), "{one}");
    assert!(one["time_to_first_token_seconds"].as_f64().unwrap() > 0.0, "{one}");
    assert!(one["queue_seconds"].is_null(), "it found a free slot: {one}");
    let overview: Value = serde_json::from_str(&sidecar.page("/overview").await.1).unwrap();
    assert_eq!(overview["requests"][0]["id"], id);
}

#[tokio::test]
async fn slow_request_names_its_wait_in_the_queue_and_refused_one_the_queue() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 1;
    config.meter.slow.first_token = Some(Duration::from_millis(1));
    let sidecar = sidecar(config).await;
    let mut first = sidecar.send(&prompt()).await;
    let mut asked = upstream.asked().await;
    asked.body(BODY.len()).await;
    let mut second = sidecar.send(&prompt()).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    let third = sidecar.exchange(&prompt().replacen("Host", "Connection: close\r\nHost", 1)).await;
    assert!(third.starts_with("HTTP/1.1 503 "), "{third}");

    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    first.until("0\r\n\r\n").await;
    let mut asked = next(asked).await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    second.until("0\r\n\r\n").await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 2.0).await;

    let [second, first, refused] = &listed(&sidecar).await[..] else { panic!("three requests") };
    assert!(refused["reason"].as_str().unwrap().starts_with("the queue is full"), "{refused}");
    assert_eq!((&refused["failed"], &refused["outcome"]), (&true.into(), &"refused".into()));
    assert!(first["queue_seconds"].is_null(), "{first}");
    assert_eq!((&second["failed"], &second["slow"]), (&false.into(), &true.into()));
    let waited = second["queue_seconds"].as_f64().unwrap();
    assert!(waited > 0.0 && waited < second["time_to_first_token_seconds"].as_f64().unwrap(), "{second}");
    let reason = second["reason"].as_str().unwrap();
    assert!(reason.starts_with("the first token came after "), "{reason}");
    assert!(reason.contains("in the queue of the sidecar"), "{reason}");
    for one in [first, second, refused] {
        assert_eq!(one["id"].as_str().unwrap()[..8], first["id"].as_str().unwrap()[..8]);
    }
}

#[tokio::test]
async fn quick_request_and_wrong_request_are_not_listed() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&prompt()).await;
    let mut asked = upstream.asked().await;
    asked.body(BODY.len()).await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    client.until("0\r\n\r\n").await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
    let mut client = sidecar.send(&prompt()).await;
    let mut asked = next(asked).await;
    asked.write("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}").await;
    client.until("{}").await;
    sidecar.until(&ended("generate", "m:latest", "client_error"), 1.0).await;
    assert_eq!(listed(&sidecar).await, Vec::<Value>::new());
}
