//! How the records of each dialect are counted.

use crate::harness::*;

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn event(name: &str, fields: &str) -> String {
    chunk(&format!("event: {name}\ndata: {{\"type\":\"{name}\",{fields}}}\n\n"))
}

/// The three events of a tool call, as Ollama sends them.
fn tool_call(index: usize, arguments: &str) -> String {
    let start = format!(
        r#""index":{index},"content_block":{{"type":"tool_use","id":"toolu_{index}","name":"weather","input":{{}}}}"#
    );
    let delta =
        format!(r#""index":{index},"delta":{{"type":"input_json_delta","partial_json":"{arguments}"}}"#);
    [
        event("content_block_start", &start),
        event("content_block_delta", &delta),
        event("content_block_stop", &format!(r#""index":{index}"#)),
    ]
    .concat()
}

#[tokio::test]
async fn anthropic_tool_call_counts_once() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let body = r#"{"model":"m","stream":true}"#;
    let client = sidecar.send(&post_once("/v1/messages", body)).await;
    let mut asked = upstream.asked().await;
    asked.body(body.len()).await;
    let sent = [
        event("message_start", r#""message":{"id":"msg_1","usage":{"input_tokens":2,"output_tokens":0}}"#),
        tool_call(0, r#"{\"city\":\"Paris\"}"#),
        tool_call(1, "{}"),
        event(
            "message_delta",
            r#""delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":11,"output_tokens":40}"#,
        ),
        chunk("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        "0\r\n\r\n".to_owned(),
    ]
    .concat();
    asked.write(&[EVENTS, &sent].concat()).await;
    assert!(client.rest().await.ends_with(&sent));
    sidecar.until(&ended("anthropic_messages", "m:latest", "complete"), 1.0).await;
    for (kind, count) in [("tool_call", 2.0), ("content", 0.0), ("terminal", 1.0)] {
        let series = format!("records_total{{model=\"m:latest\",kind=\"{kind}\"}}");
        assert_eq!(sidecar.value(&series), count, "{series}");
    }
    let at_one = "concurrency_tokens_total{upstream=\"gpu0\",model=\"m:latest\",streams=\"1\"}";
    assert_eq!(sidecar.value(at_one), 2.0, "a call is one content record");
}
