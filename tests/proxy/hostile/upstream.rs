//! Hostile upstreams: incomplete, malformed, surplus and ambiguous responses.

use crate::harness::*;

/// The response to one request while the upstream sends `answer` and closes.
async fn seen(upstream: &mut Upstream, sidecar: &Sidecar, answer: &str) -> String {
    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    let mut bytes = answer.as_bytes();
    // The connection may close before everything is sent.
    let _ = soon(tokio::io::AsyncWriteExt::write_all_buf(&mut asked.stream, &mut bytes)).await;
    drop(asked);
    client.rest().await
}

/// A message whose end is explicit: by its length or by the last chunk.
fn is_complete(message: &str) -> bool {
    let Some((head, body)) = message.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    match length {
        Some(length) => body.len() == usize::to_owned(&length),
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// A chunked response: each record, and the last chunk.
fn chunks(records: usize) -> String {
    format!("{}{}0\r\n\r\n", chunk(RECORD).repeat(records), chunk(LAST))
}

#[tokio::test]
async fn cut_or_malformed_response_never_looks_complete() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let record = chunk(RECORD);
    let chunked = |rest: &str| format!("{STREAM}{record}{rest}");
    let holes: Vec<_> = {
        let mut holes = Vec::new();
        for answer in [
            chunked(""),
            chunked("5"),
            chunked("5\r\n"),
            chunked("5\r\nab"),
            chunked("5\r\nabcde"),
            chunked("5\r\nabcde\r"),
            chunked("5\r\nabcdeXX0\r\n\r\n"),
            chunked("0"),
            chunked("0\r\n"),
            chunked("0\r\nX: "),
            chunked("-1\r\na\r\n0\r\n\r\n"),
            chunked("0x1\r\na\r\n0\r\n\r\n"),
            chunked("ffffffffffffffffff\r\na\r\n0\r\n\r\n"),
            chunked("1\na\n0\n\n"),
            chunked(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(64 << 10))),
            chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(64 << 10))),
            chunked("\0\0\0\0"),
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nab".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_owned(),
        ] {
            let seen = seen(&mut upstream, &sidecar, &answer).await;
            if seen.starts_with("HTTP/1.1 200 ") && is_complete(&seen) {
                holes.push(format!("{:?} looks whole: {seen:?}", &answer[..answer.len().min(200)]));
            }
        }
        holes
    };
    assert!(holes.is_empty(), "{}", holes.join("\n"));
    assert_eq!(sidecar.value(&ended("generate", "m:latest", "complete")), 0.0);
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}", 0.0).await;
}

#[tokio::test]
async fn malformed_response_head_gets_502_and_is_not_forwarded() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for head in [
        "evil\r\n\r\n",
        "\r\n\r\n\r\n",
        "HTTP/1.1 evil OK\r\n\r\n",
        "HTTP/1.1 99 evil\r\n\r\n",
        "HTTP/1.1 1000 evil\r\n\r\n",
        "HTTP/2.0 200 evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \0evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX evil: a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded: evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nevil",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\n",
    ] {
        let seen = seen(&mut upstream, &sidecar, head).await;
        assert!(seen.starts_with("HTTP/1.1 502 ") && is_complete(&seen), "{head:?}: {seen}");
        assert!(!seen.contains("evil"), "{head:?}: {seen}");
    }
}

#[tokio::test]
async fn unrequested_response_reaches_no_client() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for surplus in ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "evil", "\0", "0\r\n\r\nevil"] {
        let mut first = sidecar.send(&generate()).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{surplus}")).await;
        assert!(first.until("ok").await.starts_with("HTTP/1.1 200 OK\r\n"));
        // On the same connection of the client, and on another one.
        first.write(&generate()).await;
        let mut next = upstream.asked().await;
        next.body(13).await;
        next.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").await;
        let seen = first.until("good").await;
        assert!(!seen.contains("evil") && seen.starts_with("HTTP/1.1 200 OK\r\n"), "{surplus:?}: {seen}");
        asked.is_left().await;
    }
}

#[tokio::test]
async fn response_hop_by_hop_fields_and_false_length_are_removed() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let answer = seen(
        &mut upstream,
        &sidecar,
        "HTTP/1.1 200 OK\r\nConnection: close, x-secret, content-length\r\nX-Secret: 1\r\nKeep-Alive: timeout=9\r\n\
         Proxy-Connection: x\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    )
    .await;
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    for gone in ["x-secret", "keep-alive", "proxy-connection", "content-length: 99"] {
        assert!(!head.contains(gone), "{head}");
    }
    assert!(is_complete(&answer) && answer.contains("ok"), "{answer}");
}

#[tokio::test]
async fn endless_interim_responses_are_dropped() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    for _ in 0..2000 {
        asked.write("HTTP/1.1 103 Early Hints\r\nLink: <evil>\r\n\r\n").await;
    }
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let mut client = client;
    let seen = client.until("ok").await;
    assert!(seen.starts_with("HTTP/1.1 200 OK\r\n") && !seen.contains("evil"), "{seen}");
}

#[tokio::test]
async fn response_with_over_256_fields_gets_502_that_names_the_limit() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let response = |count: usize| {
        let fields = (1..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\n{{}}")
    };
    let whole = seen(&mut upstream, &sidecar, &response(256)).await;
    assert!(whole.starts_with("HTTP/1.1 200 ") && whole.to_lowercase().contains("x-255: a"), "{whole}");
    for count in [257, 1000] {
        let seen = seen(&mut upstream, &sidecar, &response(count)).await;
        assert!(seen.starts_with("HTTP/1.1 502 ") && seen.contains("256 header fields"), "{count}: {seen}");
    }
}

#[tokio::test]
async fn response_with_both_lengths_reaches_client_complete() {
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
async fn response_with_both_lengths_that_is_cut_is_not_complete() {
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
async fn response_in_unknown_transfer_coding_gets_502() {
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
async fn response_with_repeated_content_length_is_forwarded_with_one() {
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
async fn head_response_with_conflicting_lengths_has_none() {
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
async fn malformed_records_pass_unchanged_and_are_counted() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    let long = format!("{{\"response\":\"{}\"}}\n", "x".repeat(10 << 20));
    let odd = ["garbage\n", "\0\u{1}\n", "{\"response\":\"\u{fffd}\"\n", long.as_str(), RECORD, "{\"half"];
    let writing = async {
        asked.write(STREAM).await;
        for record in odd {
            asked.write(&chunk(record)).await;
        }
        asked.write("0\r\n\r\n").await;
    };
    let (seen, ()) = tokio::join!(client.rest(), writing);
    assert_eq!(decoded(&seen).1, odd.concat());
    sidecar.until("records_unscanned_total{reason=\"malformed\"}", 4.0).await;
    sidecar.until("records_unscanned_total{reason=\"too_long\"}", 1.0).await;
    sidecar.until("records_total{model=\"m:latest\",kind=\"content\"}", 1.0).await;
    sidecar.until(&ended("generate", "m:latest", "truncated"), 1.0).await;
}
