//! Clients that mean harm: what they may not reach, and what they may not hold.

use std::time::Duration;

use streamgauge::admission::{Access, Digest, Key, Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::{harness::*, strict::strict};

/// What a client sees that sends these bytes and then waits for the end.
async fn answer(sidecar: &Sidecar, bytes: &str) -> String {
    let mut client = sidecar.connect().await;
    // Who is refused early cannot write the rest.
    let _ = soon(client.stream.write_all(bytes.as_bytes())).await;
    let mut seen = Vec::new();
    let _ = soon(client.stream.read_to_end(&mut seen)).await;
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn to_call_a_key_of_one_hop_neither_hides_it_nor_lets_it_through() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.admission.require_key = true;
    config.admission.keys = vec![Key {
        name: "alice".to_owned(),
        digest: Digest::of(b"sesame"),
        limits: Limits::default(),
        routes: Access::of(["show"]).unwrap(),
        pace: None,
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
async fn a_closed_route_stays_closed_however_its_path_is_written() {
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
async fn a_target_or_a_field_or_many_of_them_beyond_the_bound_are_refused() {
    let strict = strict().await;
    let sidecar = sidecar(config(strict.addr)).await;
    let fields = |count: usize| (0..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
    for (request, statuses) in [
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(70 << 10)), ["414", "431"]),
        (format!("GET /?{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1 << 20)), ["414", "431"]),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX-{}: a\r\n\r\n", "a".repeat(70 << 10)), ["400", "431"]),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(70 << 10)), ["431", "431"]),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields(1000)), ["431", "431"]),
        (format!("{} / HTTP/1.1\r\nHost: h\r\n\r\n", "A".repeat(70 << 10)), ["400", "431"]),
    ] {
        let seen = answer(&sidecar, &request).await;
        let is_told = statuses.iter().any(|status| seen.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(is_told, "{}: {seen}", &request[..40]);
        assert!(strict.take().arrived.is_empty(), "{}", &request[..40]);
    }
    sidecar.until_some("requests_malformed_total{reason=\"head_too_large\"}").await;
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
}

#[tokio::test]
async fn a_head_byte_by_byte_has_no_more_time_than_one_that_stands_still() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.proxy.header_timeout = Duration::from_millis(300);
    let sidecar = sidecar(config).await;
    let began = Instant::now();
    let mut client = sidecar.send("GET / HTTP/1.1\r\nHost: h\r\nX: ").await;
    let dripping = async {
        while client.stream.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(dripping).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    sidecar.until("requests_malformed_total{reason=\"head_timeout\"}", 1.0).await;
}

#[tokio::test]
async fn one_that_asks_nothing_is_closed_before_and_after_its_first_request() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.proxy.keep_alive_timeout = Duration::from_millis(200);
    let sidecar = sidecar(config).await;
    assert_eq!(sidecar.connect().await.rest().await, "");
    let mut client = sidecar.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until("{}").await;
    assert_eq!(client.rest().await, "");
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
    assert_eq!(
        sidecar.value("requests_malformed_total{reason=\"head_timeout\"}"),
        0.0,
        "to be idle is no fault"
    );
}

#[tokio::test]
async fn many_requests_at_once_on_one_connection_are_answered_one_by_one() {
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
async fn target_in_no_form_of_http_is_400_and_reaches_nobody() {
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
                // A target that no parser takes is refused before it is whole.
                let _ = client.stream.write_all(piece).await;
            }
            let seen = client.rest().await;
            assert!(seen.starts_with("HTTP/1.1 400 ") && seen.contains("\"error\""), "{target}: {seen}");
        }
    }
    // On a connection that has asked before, too.
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
async fn request_has_up_to_256_fields_and_the_refusal_of_more_says_so() {
    let strict = strict().await;
    let sidecar = sidecar(config(strict.addr)).await;
    let request = |count: usize| {
        let fields = (2..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
        format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n")
    };
    assert!(sidecar.exchange(&request(256)).await.starts_with("HTTP/1.1 200 "));
    assert!(strict.take().arrived[0].head.contains("X-255: a"));
    for count in [257, 300, 1000, 5000] {
        let seen = answer(&sidecar, &request(count)).await;
        assert!(seen.starts_with("HTTP/1.1 431 ") && seen.contains("256 header fields"), "{count}: {seen}");
    }
    assert!(strict.take().arrived.is_empty());
}
