//! The usage of OpenAI streams: requested for every stream, and removed for clients that did not ask for it.

use streamgauge::shaping::OpenAiUsage;

use crate::harness::*;

#[tokio::test]
async fn usage_is_injected_and_stripped() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.shaping.openai_usage = OpenAiUsage::InjectAndStrip;
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&post_once("/v1/chat/completions", "{\"model\":\"m\",\"stream\":true}")).await;
    let mut asked = upstream.asked().await;
    let expected = "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}";
    assert!(asked.head.contains(&format!("Content-Length: {}\r\n", expected.len())), "{}", asked.head);
    assert_eq!(asked.body(expected.len()).await, expected);
    let content = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\n";
    let done = "data: [DONE]\n\n";
    asked
        .write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    asked.write(&[&chunk(content), &chunk(usage), &chunk(done), "0\r\n\r\n"].concat()).await;
    let seen = client.rest().await;
    assert!(seen.contains(content) && seen.contains(done) && !seen.contains("usage"), "{seen}");
    sidecar.until("tokens_total{model=\"m:latest\",kind=\"output\"}", 7.0).await;
}

#[tokio::test]
async fn usage_is_injected_into_body_of_any_length() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.shaping.openai_usage = OpenAiUsage::Inject;
    let sidecar = sidecar(config).await;
    let body = format!(
        "{{\"model\":\"m\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}} \n",
        "w ".repeat(2 << 20)
    );
    let client = sidecar.send(&post_once("/v1/chat/completions", &body)).await;
    let mut asked = upstream.asked().await;
    let end = body.len() - "} \n".len();
    let expected = [&body[..end], ",\"stream_options\":{\"include_usage\":true}} \n"].concat();
    assert!(asked.head.contains(&format!("Content-Length: {}\r\n", expected.len())), "{}", asked.head);
    assert!(asked.body(expected.len()).await == expected, "another body");
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    assert!(client.rest().await.ends_with("{}"));
}

#[tokio::test]
async fn shaped_response_has_no_content_length() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.shaping.merge = true;
    config.shaping.openai_usage = OpenAiUsage::InjectAndStrip;
    let sidecar = sidecar(config).await;
    let ndjson = RECORD.repeat(3) + LAST;
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n";
    let sse = format!("{event}{usage}data: [DONE]\n\n");
    for (path, kind, body, end) in [
        ("/api/generate", "application/x-ndjson", &ndjson, LAST),
        ("/v1/chat/completions", "text/event-stream", &sse, "data: [DONE]\n\n"),
    ] {
        let client = sidecar.send(&post_once(path, "{\"model\":\"m\",\"stream\":true}")).await;
        let mut asked = upstream.asked().await;
        let length: usize = asked
            .head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap();
        asked.body(length).await;
        asked
            .write(&format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        let seen = client.rest().await;
        let (head, shaped) = decoded(&seen);
        assert!(!head.contains("content-length") && seen.ends_with("\r\n0\r\n\r\n"), "{seen}");
        assert!(shaped.len() < body.len() && shaped.ends_with(end), "{seen}");
    }
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
    sidecar.until(&ended("openai_chat", "m:latest", "complete"), 1.0).await;
}
