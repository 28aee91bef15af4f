//! Hostile clients: keys, closed routes, invalid targets and pipelined requests.

use streamgauge::admission::{Access, Digest, Key, Limits};
use tokio::io::AsyncWriteExt;

use super::{answer, strict::strict};
use crate::harness::*;

#[tokio::test]
async fn key_named_in_connection_field_is_checked_and_not_forwarded() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.admission.require_key = true;
    config.admission.keys = vec![Key {
        name: "alice".to_owned(),
        digest: Digest::of(b"sesame"),
        limits: Limits::default(),
        routes: Access::of(["show"]).unwrap(),
        models: None,
        pace: None,
        on_failure: None,
    }];
    let sidecar = sidecar(config).await;
    let ask = |path: &str, fields: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: 2\r\n\r\n{{}}")
    };
    let named =
        "Connection: close, authorization, x-api-key, x-forwarded-for\r\nX-Forwarded-For: 1.2.3.4\r\n";
    for (path, key, status) in [
        ("/api/show", "Authorization: Bearer sesame\r\n", 200),
        ("/api/show", "X-Api-Key: sesame\r\n", 200),
        ("/api/show", "Authorization: Bearer mellon\r\n", 401),
        ("/api/show", "", 401),
        ("/api/pull", "Authorization: Bearer sesame\r\n", 403),
    ] {
        let seen = answer(&sidecar, &ask(path, &format!("{named}{key}"))).await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {key:?}: {seen}");
        let arrived = strict.take();
        assert!(arrived.ambiguous.is_empty(), "{arrived:?}");
        assert_eq!(arrived.arrived.len(), usize::from(status == 200), "{arrived:?}");
        for one in &arrived.arrived {
            let head = one.head.to_lowercase();
            assert!(!head.contains("sesame") && !head.contains("forwarded"), "{head}");
            assert!(head.contains("content-length: 2"), "{head}");
        }
    }
}

#[tokio::test]
async fn closed_route_in_any_spelling_stays_closed() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.admission.routes = Access::of(["chat", "blobs"]).unwrap();
    let sidecar = sidecar(config).await;
    for target in [
        "/api/pull",
        "/api/%70ull",
        "/%61%70%69/pull",
        "/api%2fpull",
        "/api/chat/../pull",
        "/api/chat/%2e%2e/pull",
        "/api/blobs/../pull",
        "/api/blobs/%2e%2e%2fpull",
        "/api/./pull",
        "//api/pull",
        "/api//pull",
        "/api/pull/",
        "/api/pull%00",
        "/api/pull?x=/api/chat",
        "/API/PULL",
        "/api/pull;/api/chat",
        "/api\\pull",
        "http://h/api/pull",
        "http://h/api/chat/../pull",
        "http:/api/chat",
        "/api/%2570ull",
        "/api/chat%",
        "/api/chat%0",
        "/api/chat%zz",
        "/api/chat#/../pull",
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let seen = answer(&sidecar, &request).await;
        let seen_by_upstream = strict.take();
        let arrived: Vec<_> = seen_by_upstream.arrived.iter().map(|one| one.target.as_str()).collect();
        assert!(seen_by_upstream.ambiguous.is_empty(), "{target}: {seen_by_upstream:?}");
        assert_eq!(arrived, [""; 0], "{target}: {seen}");
        assert!(seen.starts_with("HTTP/1.1 403 ") || seen.starts_with("HTTP/1.1 400 "), "{target}: {seen}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one() {
    let strict = strict().await;
    let sidecar = sidecar(config(strict.addr)).await;
    let many = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n".repeat(200)
        + "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let seen = answer(&sidecar, &many).await;
    assert_eq!(seen.matches("HTTP/1.1 200 OK").count(), 201);
    assert_eq!(strict.take().arrived.len(), 201);
    assert_eq!(sidecar.value("requests_in_flight{upstream=\"gpu0\",route=\"other\"}"), 0.0);
}

#[tokio::test]
async fn invalid_target_gets_400_and_is_not_forwarded() {
    let strict = strict().await;
    let sidecar = sidecar(config(strict.addr)).await;
    for target in
        ["case", "case/", "h:80", "*", "/case#part", "/case?a=b#part", "http://h/case#part", "#", "?a=b"]
    {
        for pieces in [usize::MAX, 1] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            let mut client = sidecar.connect().await;
            client.stream.set_nodelay(true).unwrap();
            for piece in request.as_bytes().chunks(pieces.min(request.len())) {
                // A target that no parser accepts is refused before it is complete.
                let _ = client.stream.write_all(piece).await;
            }
            let seen = client.rest().await;
            assert!(seen.starts_with("HTTP/1.1 400 ") && seen.contains("\"error\""), "{target}: {seen}");
        }
    }
    // Also on a connection with an earlier request.
    let mut client = sidecar.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until("{}").await;
    client.write("GET /case#part HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    for (target, arrives) in [("/case", "/case"), ("http://h/case", "/case"), ("/%23", "/%23")] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: a#b\r\n\r\n");
        assert!(sidecar.exchange(&request).await.starts_with("HTTP/1.1 200 "), "{target}");
        assert_eq!(strict.take().arrived.pop().unwrap().target, arrives);
    }
    assert!(strict.take().ambiguous.is_empty());
}

#[tokio::test]
async fn pipelined_request_with_fragment_in_target_gets_400() {
    let fragment = "GET /case#part HTTP/1.1\r\nHost: h\r\n\r\n";
    for first in [
        "GET /first HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        post("/first", "GET /#a HTTP/1.1\r\n\r\n"),
        "POST /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            .to_owned(),
    ] {
        // In one piece, after a first request, and in the middle of the target.
        for cut in [first.len() + fragment.len(), first.len(), first.len() + 6] {
            let mut upstream = upstream().await;
            let sidecar = sidecar(config(upstream.addr)).await;
            let whole = [&first[..], fragment].concat();
            let mut client = sidecar.send(&whole[..cut]).await;
            let mut asked = upstream.asked().await;
            assert!(asked.head.contains(" /first HTTP/1.1"), "{}", asked.head);
            client.write(&whole[cut..]).await;
            asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            let seen = client.rest().await;
            assert!(seen.starts_with("HTTP/1.1 200 "), "{cut}: {seen}");
            assert!(seen.contains("\r\n\r\n{}HTTP/1.1 400 "), "{cut}: {seen}");
            upstream.was_not_asked();
            assert_eq!(sidecar.value("requests_malformed_total{reason=\"target\"}"), 1.0);
        }
    }
}
