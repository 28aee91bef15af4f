//! Two readings of one message: none of them reaches Ollama.

use super::harness::*;

#[tokio::test]
async fn conflicting_lengths_have_one_reading() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let _client = sidecar
        .send(
            "POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\n",
        )
        .await;
    let mut asked = upstream.asked().await;
    let head = asked.head.to_lowercase();
    assert!(!head.contains("content-length"), "{head}");
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert_eq!(asked.body(13).await, "3\r\nabc\r\n0\r\n\r\n");
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_counted_and_not_forwarded() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut by_reason = std::collections::BTreeMap::<&str, f64>::new();
    for (request, status, reason) in [
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "head"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na", 400, "head"),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "coding"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            501,
            "coding",
        ),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, "head"),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, "head"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n folded\r\n\r\n", 400, "head"),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400, "host"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "host"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX-\0: 1\r\n\r\n", 400, "head"),
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "head"),
        ("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 405, "connect"),
    ] {
        let seen = sidecar.exchange(request).await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {seen}");
        *by_reason.entry(reason).or_default() += 1.0;
    }
    for (reason, count) in by_reason {
        sidecar.until(&format!("requests_malformed_total{{reason=\"{reason}\"}}"), count).await;
    }
    upstream.was_not_asked();
}

#[tokio::test]
async fn a_chunked_body_that_makes_no_sense_is_refused_and_its_connection_closed() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let seen = sidecar
        .exchange(
            "POST /api/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        )
        .await;
    assert!(seen.starts_with("HTTP/1.1 400 "), "{seen}");
    sidecar.until("requests_malformed_total{reason=\"body\"}", 1.0).await;
}

#[tokio::test]
async fn offered_upgrade_is_dropped_and_the_request_served() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (connection, offer) in [
        ("Upgrade, HTTP2-Settings", "h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
        // Apache HttpClient 5.4.
        ("Upgrade", "TLS/1.2"),
        ("Upgrade", "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        ("keep-alive, UPGRADE", "h2c, TLS/1.0"),
        ("Upgrade", "h2c\r\nUpgrade: websocket"),
    ] {
        let mut client = sidecar.connect().await;
        // The connection serves further requests: nothing is switched.
        for method in ["POST", "GET"] {
            client
                .write(&format!(
                    "{method} /api/show HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\nUpgrade: {offer}\r\n\
                     Content-Length: 2\r\n\r\n{{}}"
                ))
                .await;
            let mut asked = upstream.asked().await;
            let head = asked.head.to_lowercase();
            assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
            assert_eq!(asked.body(2).await, "{}");
            // Without a further request on this connection the next one comes on another.
            asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
            let seen = client.until("ok").await;
            assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{offer}: {seen}");
        }
    }
}

#[tokio::test]
async fn a_target_with_a_host_is_forwarded_without_it() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let _client =
        sidecar.send("GET http://evil.example/api/show?x=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    let asked = upstream.asked().await;
    assert_eq!(asked.head, format!("GET /api/show?x=1 HTTP/1.1\r\nHost: {}\r\n\r\n", upstream.addr));
    let _client = sidecar.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let asked = upstream.asked().await;
    assert!(asked.head.starts_with("OPTIONS * HTTP/1.1\r\n"), "{}", asked.head);
}

#[tokio::test]
async fn fields_that_connection_names_are_of_one_hop_and_framing_survives_it() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let _client = sidecar
        .send(
            "POST /api/show HTTP/1.1\r\nHost: h\r\nConnection: host, content-length, x-a\r\nX-A: 1\r\n\
             Content-Length: 2\r\n\r\n{}",
        )
        .await;
    let mut asked = upstream.asked().await;
    let head = asked.head.to_lowercase();
    assert!(head.contains(&format!("host: {}", upstream.addr)) && !head.contains("x-a"), "{head}");
    let body = if head.contains("content-length: 2") { "{}" } else { "2\r\n{}\r\n0\r\n\r\n" };
    assert_eq!(asked.body(body.len()).await, body);
}

#[tokio::test]
async fn an_answer_that_is_over_before_the_request_is_comes_whole() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    // A body that nobody wants is not read to its end.
    let request = "GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    // What follows so soon that it is held back a little must not be left behind: once is enough to see it.
    for _ in 0..20 {
        let client = sidecar.send(request).await;
        let mut asked = upstream.asked().await;
        asked.write(STREAM).await;
        for piece in [chunk(RECORD), chunk(RECORD), chunk(LAST), "0\r\n\r\n".to_owned()] {
            asked.write(&piece).await;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        let seen = client.rest().await;
        assert!(seen.ends_with(&format!("{}0\r\n\r\n", chunk(LAST))), "{seen}");
    }
}
