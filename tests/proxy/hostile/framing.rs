//! Request smuggling: a request with two readings is refused, or forwarded as exactly one request with one reading.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config as Runs, TestRunner},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::*,
    hostile::strict::{Seen, Strict, strict},
};

/// The next request of an honest client on the same connection.
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
/// The request that an attacker hides in the body of the first one.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";

/// Short timeouts, so that an attack that waits for more ends soon.
async fn before(strict: &Strict) -> Sidecar {
    let mut config = config(strict.addr);
    config.proxy.keep_alive_timeout = Duration::from_millis(400);
    config.proxy.header_timeout = Duration::from_millis(400);
    config.proxy.body_idle_timeout = Duration::from_millis(400);
    sidecar(config).await
}

/// Sends an attack and the next request. Returns what the client received.
async fn attack(sidecar: &Sidecar, bytes: &[u8]) -> String {
    let mut client = sidecar.connect().await;
    // A client that is refused early cannot write the rest.
    let _ = soon(client.stream.write_all(&[bytes, NEXT.as_bytes()].concat())).await;
    let mut seen = Vec::new();
    let _ = soon(client.stream.read_to_end(&mut seen)).await;
    String::from_utf8_lossy(&seen).into_owned()
}

fn targets(seen: &Seen) -> Vec<&str> {
    seen.arrived.iter().map(|arrived| arrived.target.as_str()).collect()
}

fn served(answers: &str) -> usize {
    answers.matches("HTTP/1.1 200 OK\r\n").count()
}

/// A POST to `/first` with these fields and this body.
fn post_first(fields: &str, body: &str) -> String {
    format!("POST /first HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post_first("Transfer-Encoding: chunked\r\n", body)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "nearly all lines are the list of attacks")]
async fn smuggled_request_without_single_reading_is_refused_and_connection_closes() {
    let strict = strict().await;
    let sidecar = before(&strict).await;
    let length = HIDDEN.len();
    let attacks = [
        // Lengths.
        post_first(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), HIDDEN),
        post_first(&format!("Content-Length: 0, {length}\r\n"), HIDDEN),
        post_first("Content-Length: 0x2\r\n", "{}"),
        post_first("Content-Length: +2\r\n", "{}"),
        post_first("Content-Length: -2\r\n", "{}"),
        post_first("Content-Length: 2 2\r\n", "{}"),
        post_first("Content-Length: 2;\r\n", "{}"),
        post_first("Content-Length: \r\n", "{}"),
        post_first("Content-Length: 99999999999999999999\r\n", "{}"),
        post_first("Content-Length : 2\r\n", "{}"),
        post_first("Content-Length\t: 2\r\n", "{}"),
        post_first(" Content-Length: 2\r\n", "{}"),
        post_first("X-A: 1\r\n Content-Length: 2\r\n", "{}"),
        post_first("X-A: 1\r\n\tContent-Length: 2\r\n", "{}"),
        post_first("Content-\0Length: 2\r\n", "{}"),
        post_first("X-A: 1\rContent-Length: 2\r\n", "{}"),
        // Codings.
        post_first(&format!("Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n"), HIDDEN),
        post_first(&format!("Transfer-Encoding: identity\r\nContent-Length: {length}\r\n"), HIDDEN),
        post_first("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post_first("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
        "POST /first HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        // Chunks.
        chunked("zz\r\n{}\r\n0\r\n\r\n"),
        chunked("-2\r\n{}\r\n0\r\n\r\n"),
        chunked("+2\r\n{}\r\n0\r\n\r\n"),
        chunked("0x2\r\n{}\r\n0\r\n\r\n"),
        chunked("\r\n{}\r\n0\r\n\r\n"),
        chunked("2 2\r\n{}\r\n0\r\n\r\n"),
        chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"),
        chunked("2\r\n{}0\r\n\r\n"),
        chunked("2\r\n{}x\r\n0\r\n\r\n"),
        chunked("2\n{}\r\n0\r\n\r\n"),
        chunked("2\r{}\r\n0\r\n\r\n"),
        chunked("2;a\n{}\r\n0\r\n\r\n"),
        // Request lines.
        "GET /first\r\nHost: h\r\n\r\n".to_owned(),
        "GET /first HTTP/1.1 x\r\nHost: h\r\n\r\n".to_owned(),
        "GET /fi rst HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET\t/first HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /first HTTP/1.2\r\nHost: h\r\n\r\n".to_owned(),
        "GET /first HTTP/2.0\r\nHost: h\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /first\0 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "G\u{e9}T /first HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\0\u{5}hello".to_owned(),
        // Hosts.
        "GET /first HTTP/1.1\r\n\r\n".to_owned(),
        "GET /first HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n".to_owned(),
        "GET /first HTTP/1.1\r\nHost: h\r\nhost: i\r\n\r\n".to_owned(),
        "GET /first HTTP/1.1\r\nHost : h\r\n\r\n".to_owned(),
        "GET http://other/first HTTP/1.1\r\n\r\n".to_owned(),
    ];
    let mut holes = Vec::new();
    for bytes in attacks {
        let answers = attack(&sidecar, bytes.as_bytes()).await;
        let seen = strict.take();
        // The sender of the HTTP/2 preface could not read any response.
        let is_refused = ["HTTP/1.1 4", "HTTP/1.1 5"].iter().any(|start| answers.starts_with(start))
            || answers.is_empty() && bytes.starts_with("PRI");
        if !is_refused || served(&answers) > 0 || !seen.ambiguous.is_empty() || !seen.arrived.is_empty() {
            holes.push(format!("{bytes:?} became {seen:?}, answered {answers:?}"));
        }
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

#[tokio::test]
async fn smuggled_request_with_one_reading_is_forwarded_as_that_one() {
    let strict = strict().await;
    let sidecar = before(&strict).await;
    let length = HIDDEN.len();
    let hidden = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let get = |rest: &str| format!("GET /first HTTP/1.1\r\n{rest}\r\n");
    let mut holes = Vec::new();
    for (bytes, body) in [
        // The content of a body does not matter.
        (post_first(&format!("Content-Length: {length}\r\n"), HIDDEN), HIDDEN),
        (post_first(&format!("content-LENGTH:{length}  \r\n"), HIDDEN), HIDDEN),
        (chunked(&hidden), HIDDEN),
        (post_first("Transfer-Encoding:\tCHUNKED \r\n", &hidden), HIDDEN),
        (post_first(&format!("Content_Length: 9\r\nContent-Length: {length}\r\n"), HIDDEN), HIDDEN),
        (get(&format!("Host: h\r\nContent-Length: {length}\r\n")) + HIDDEN, HIDDEN),
        // Extensions end here, and trailers do not frame.
        (chunked("2;name=\"value\"\r\n{}\r\n0;last\r\n\r\n"), "{}"),
        (chunked("0002\r\n{}\r\n0\r\nContent-Length: 5\r\nHost: x\r\n\r\n"), "{}"),
        (
            post_first(
                "Trailer: Host\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n",
                "0\r\nHost: x\r\n\r\n",
            ),
            "",
        ),
        // Lenient on the way in, strict on the way out.
        ("\r\n\r\nGET /first HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), ""),
        ("GET /first HTTP/1.1\nHost: h\n\n".to_owned(), ""),
        (get("Host: \r\n"), ""),
        (get("Host: a, b\r\n"), ""),
        ("GET http://other/first HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), ""),
        (get("Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"), ""),
        (get("Host: h\r\nUpgrade: websocket\r\n"), ""),
        (get("Host: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), ""),
        (get("Host: h\r\nConnection: x, UPGRADE\r\nUpgrade: h2c, TLS/1.0\r\n"), ""),
    ] {
        let answers = attack(&sidecar, bytes.as_bytes()).await;
        let seen = strict.take();
        let is_one = targets(&seen) == ["/first", "/next"] && seen.arrived[0].body == body.as_bytes();
        if !is_one || !seen.ambiguous.is_empty() || served(&answers) != 2 {
            holes.push(format!("{bytes:?} became {seen:?}, answered {answers:?}"));
        }
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

#[tokio::test]
async fn request_with_both_lengths_uses_transfer_encoding_and_closes_connection() {
    let strict = strict().await;
    let sidecar = before(&strict).await;
    let body = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let answers = attack(&sidecar, post_first(fields, &body).as_bytes()).await;
        let seen = strict.take();
        assert_eq!(targets(&seen), ["/first"], "{seen:?}");
        assert_eq!(seen.arrived[0].body, HIDDEN.as_bytes());
        assert!(!seen.arrived[0].head.contains("Content-Length"), "{seen:?}");
        assert_eq!(served(&answers), 1);
        assert!(answers.contains("connection: close"), "{answers}");
    }
}

#[tokio::test]
async fn request_with_both_lengths_is_forwarded_with_one() {
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
async fn ambiguous_request_is_refused_counted_and_not_forwarded() {
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
async fn malformed_chunked_body_gets_400_and_connection_closes() {
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
async fn upgrade_offer_is_removed_and_request_served() {
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
        // The connection serves further requests, since nothing was switched.
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
            // Without a further request on this connection, the next one comes on another.
            asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
            let seen = client.until("ok").await;
            assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{offer}: {seen}");
        }
    }
}

#[tokio::test]
async fn fields_named_in_connection_are_removed_and_framing_is_kept() {
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

/// Pieces of valid and invalid messages, from which messages are built.
const PIECES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /first HTTP/1.1\r\n",
    "POST /api/chat HTTP/1.1\r\n",
    "HEAD * HTTP/1.0\r\n",
    "Host: h\r\n",
    "Host: h\n",
    "Host : h\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 3\r\n",
    "Content-Length:\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Transfer-Encoding: chunked\n",
    "Connection: close\r\n",
    "Connection: upgrade, content-length, host\r\n",
    "Upgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "Trailer: x\r\n",
    "TE: trailers\r\n",
    "X-A: b\r\n",
    " folded\r\n",
    ":\r\n",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\r\n\r\n",
    "5\r\nabcde\r\n",
    "3\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "x: y\r\n",
    "fffffffffffffffff\r\n",
    "abc",
    "{\"model\":\"m\"}",
    "\u{ff}",
];

#[test]
fn random_request_pieces_get_one_response_per_whole_request() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (strict, sidecar) = runtime.block_on(async {
        let strict = strict().await;
        let sidecar = before(&strict).await;
        (strict, sidecar)
    });
    let cases = proptest::collection::vec(prop::sample::select(PIECES), 1..14);
    // Some must be served and some refused. Otherwise the test would show nothing.
    let (whole, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let mut runner = TestRunner::new_with_rng(
        Runs { cases: 200, failure_persistence: None, ..Runs::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&cases, |pieces| {
            let bytes = format!("POST /first HTTP/1.1\r\nHost: h\r\n{}", pieces.concat());
            let answers = runtime.block_on(attack(&sidecar, bytes.as_bytes()));
            let seen = strict.take();
            prop_assert!(seen.ambiguous.is_empty(), "{:?} became {:?}", bytes, seen);
            prop_assert!(served(&answers) <= seen.arrived.len(), "{:?}: {:?} {}", bytes, seen, answers);
            whole.set(whole.get() + seen.arrived.len());
            refused.set(refused.get() + usize::from(answers.starts_with("HTTP/1.1 4")));
            Ok(())
        })
        .unwrap();
    assert!(whole.get() > 20 && refused.get() > 20, "{} and {}", whole.get(), refused.get());
    assert_eq!(sidecar.value("panics_total"), 0.0);
}
