//! Where a forwarded response ends: one reading, which the client is told.

use streamgauge::shaping::OpenAiUsage;

use super::harness::*;

/// A response in chunks: each record, and the last one.
fn chunks(records: usize) -> String {
    format!("{}{}0\r\n\r\n", chunk(RECORD).repeat(records), chunk(LAST))
}

/// The head and the body that a client got, without the chunks.
fn decoded(seen: &str) -> (String, String) {
    let (head, mut rest) = seen.split_once("\r\n\r\n").expect("a head");
    let mut body = String::new();
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        loop {
            let (size, after) = rest.split_once("\r\n").expect("a chunk");
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                break;
            }
            body.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
    } else {
        body.push_str(rest);
    }
    (head.to_lowercase(), body)
}

#[tokio::test]
async fn response_with_both_lengths_reaches_the_client_whole() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let body = RECORD.repeat(17) + LAST;
    assert!(body.len() > 512);
    let lengths = ["Content-Length: 100\r\n", "Content-Length: 9999\r\n"];
    let coding = "Transfer-Encoding: chunked\r\n";
    for fields in lengths.iter().flat_map(|length| [format!("{length}{coding}"), format!("{coding}{length}")])
    {
        let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n{fields}\r\n");
        asked.write(&(head + &chunks(17))).await;
        let (head, seen) = decoded(&client.rest().await);
        assert_eq!(seen, body, "{fields:?}");
        assert!(!head.contains("content-length"), "{head}");
    }
    sidecar.until(&ended("generate", "m:latest", "complete"), 4.0).await;
}

#[tokio::test]
async fn response_with_both_lengths_that_breaks_off_is_no_complete_one() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for length in [RECORD.len(), 9999] {
        let client = sidecar.send(&generate()).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked
            .write(&format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{}",
                chunk(RECORD)
            ))
            .await;
        drop(asked);
        let seen = client.rest().await;
        assert!(seen.ends_with(&chunk(RECORD)), "{seen}");
    }
    sidecar.until(&ended("generate", "m:latest", "upstream_error"), 2.0).await;
}

#[tokio::test]
async fn response_in_another_coding_is_502() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let codings =
        ["gzip, chunked", "gzip", "identity", "chunked\r\nTransfer-Encoding: chunked", "chunked;q=1"];
    for coding in codings {
        let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked
            .write(&format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: {coding}\r\n\r\n{}",
                chunks(1)
            ))
            .await;
        let seen = client.rest().await;
        assert!(seen.starts_with("HTTP/1.1 502 "), "{coding:?}: {seen}");
        assert!(seen.contains("a transfer coding other than chunked"), "{coding:?}: {seen}");
        asked.is_left().await;
    }
    let count = codings.len() as f64;
    sidecar.until(&ended("generate", "other", "upstream_error"), count).await;
}

#[tokio::test]
async fn length_that_is_told_twice_is_told_once() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for twice in ["Content-Length: 2\r\nContent-Length: 2", "Content-Length: 2, 2"] {
        let client = sidecar.send(&post_once("/api/show", "{}")).await;
        let mut asked = upstream.asked().await;
        asked.body(2).await;
        asked.write(&format!("HTTP/1.1 200 OK\r\n{twice}\r\n\r\nok")).await;
        let seen = client.rest().await;
        let (head, body) = decoded(&seen);
        assert_eq!(head.matches("content-length: 2").count(), 1, "{seen}");
        assert!(!head.contains("2, 2"), "{seen}");
        assert_eq!(body, "ok");
    }
}

#[tokio::test]
async fn head_response_with_lengths_that_differ_says_none() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (fields, told) in [
        ("Content-Length: 2\r\nContent-Length: 3\r\n", false),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", false),
        ("Content-Length: 2\r\n", true),
    ] {
        let client = sidecar.send("HEAD /api/other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
        let mut asked = upstream.asked().await;
        asked.write(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await;
        let seen = client.rest().await.to_lowercase();
        assert!(seen.starts_with("http/1.1 200 ok\r\n") && seen.ends_with("\r\n\r\n"), "{fields:?}: {seen}");
        assert_eq!(seen.contains("content-length: 2\r\n"), told, "{fields:?}: {seen}");
        assert!(!seen.contains("content-length: 3") && !seen.contains("transfer-encoding"), "{seen}");
    }
}

#[tokio::test]
async fn layer_that_changes_the_length_tells_none() {
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
