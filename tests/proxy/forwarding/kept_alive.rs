//! Keep-alive lines of `proxy.sse_keep_alive`: a stream whose first token is late, in the queue or at its upstream.

mod errors;

use std::time::Duration;

use streamgauge::{
    admission::{Limits, Models},
    sidecar::Config,
    upstream::{Policy, UpstreamConfig},
};
use tokio::net::TcpListener;

use crate::{admission::key, harness::*};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"m","stream":true}"#;
const COMMENT: &str = ": keep-alive\n\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const DEPTH: &str = "queue_depth{priority=\"normal\"}";

/// One upstream with one slot.
fn kept_alive(upstream: std::net::SocketAddr) -> Config {
    let mut config = config(upstream);
    config.proxy.sse_keep_alive = Duration::from_millis(10);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config
}

/// A request that has reached the upstream, and whose client has two keep-alive lines.
async fn waiting(config: Config, upstream: &mut Upstream, path: &str) -> (Sidecar, Client, Asked, String) {
    let sidecar = sidecar(config).await;
    let mut client = sidecar.send(&post(path, BODY)).await;
    let mut asked = upstream.asked().await;
    asked.body(BODY.len()).await;
    let line = if path == "/v1/messages" { "data: {\"type\": \"ping\"}\n\n" } else { COMMENT };
    let seen = client.until(line).await + &client.until(line).await;
    (sidecar, client, asked, seen)
}

fn whole() -> String {
    [EVENTS, &chunk(TOKEN), &chunk(DONE), "0\r\n\r\n"].concat()
}

#[tokio::test]
async fn stream_with_late_first_token_has_keep_alive_lines_before_the_bytes_of_the_upstream() {
    for (path, line) in [
        (CHAT, COMMENT),
        ("/v1/completions", COMMENT),
        ("/v1/responses", COMMENT),
        ("/v1/messages", "event: ping\ndata: {\"type\": \"ping\"}\n\n"),
    ] {
        let mut upstream = upstream().await;
        let (sidecar, mut client, mut asked, seen) =
            waiting(kept_alive(upstream.addr), &mut upstream, path).await;
        asked.write(&whole()).await;
        let (head, body) = decoded(&(seen + &client.until("0\r\n\r\n").await));
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("\r\ndate: ") && !head.contains("connection: close"), "{head}");
        let lines = body.strip_suffix(&[TOKEN, DONE].concat()).expect("the bytes of the upstream");
        assert!(lines.len() >= 2 * line.len(), "{body}");
        assert_eq!(lines.replace(line, ""), "", "{body}");
        let route = match path {
            CHAT => "openai_chat",
            "/v1/completions" => "openai_completions",
            "/v1/responses" => "openai_responses",
            _ => "anthropic_messages",
        };
        sidecar.until(&format!("responses_total{{route=\"{route}\",code=\"200\"}}"), 1.0).await;
        if path == CHAT {
            sidecar.until(&ended(route, "m:latest", "complete"), 1.0).await;
            assert_eq!(
                sidecar.value("time_to_first_token_seconds_count{route=\"openai_chat\",model=\"m:latest\"}"),
                1.0
            );
        }
        // The connection takes the next request.
        client.write(&post("/api/generate", "{\"model\":\"m\"}")).await;
        let mut asked = soon(Asked::read(asked.stream)).await.expect("the connection is kept");
        asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
        assert!(client.until("0\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn request_that_waits_in_the_queue_gets_lines_and_leaves_the_queue_with_its_client() {
    let mut upstream = upstream().await;
    let mut config = kept_alive(upstream.addr);
    config.proxy.response_fields = true;
    let (sidecar, mut first, mut asked, seen) = waiting(config, &mut upstream, CHAT).await;
    assert!(seen.contains("\r\nserver-timing: queue;dur=0.000, upstream;desc=\"gpu0\"\r\n"), "{seen}");
    let mut leaves = sidecar.send(&post(CHAT, BODY)).await;
    let seen = leaves.until(COMMENT).await;
    // Its wait is not known yet.
    assert!(seen.contains("x-streamgauge-request-id: ") && !seen.contains("server-timing"), "{seen}");
    sidecar.until(DEPTH, 1.0).await;
    let mut stays = sidecar.send(&post(CHAT, BODY)).await;
    stays.until(COMMENT).await;
    sidecar.until(DEPTH, 2.0).await;
    drop(leaves);
    sidecar.until(DEPTH, 1.0).await;
    upstream.was_not_asked();
    asked.write(&whole()).await;
    first.until(DONE).await;
    let mut asked = soon(Asked::read(asked.stream)).await.expect("the connection is kept");
    asked.body(BODY.len()).await;
    asked.write(&whole()).await;
    stays.until(DONE).await;
    sidecar.until(&ended("openai_chat", "m:latest", "complete"), 2.0).await;
    let requests = sidecar.page("/requests").await.1;
    assert!(!requests.contains("late_error"), "{requests}");
}

#[tokio::test]
async fn client_that_leaves_before_the_first_token_frees_the_slot() {
    let mut upstream = upstream().await;
    let (sidecar, client, mut asked, _) = waiting(kept_alive(upstream.addr), &mut upstream, CHAT).await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("openai_chat", "other", "client_abort"), 1.0).await;
    let mut next = sidecar.send(&post(CHAT, BODY)).await;
    let mut asked = upstream.asked().await;
    asked.write(&whole()).await;
    next.until(DONE).await;
}

#[tokio::test]
async fn request_moves_to_another_upstream_while_only_lines_were_sent() {
    let (mut first, mut second) = (upstream().await, upstream().await);
    let mut config = kept_alive(first.addr);
    config.upstream.health_interval = Duration::from_secs(3600);
    config.upstream.choose = Policy::RoundRobin;
    let mut other = UpstreamConfig::new("gpu1", format!("http://{}", second.addr).parse().unwrap());
    other.max_streams = Some(StreamLimit::Fixed(1));
    config.upstream.upstreams.push(other);
    let sidecar = sidecar(config).await;
    for name in ["gpu0", "gpu1"] {
        sidecar.until(&format!("upstream_up{{upstream=\"{name}\"}}"), 1.0).await;
    }
    let _clients = [sidecar.send(&post(CHAT, BODY)).await, sidecar.send(&post(CHAT, BODY)).await];
    let (mut at_first, mut at_second) = (first.asked().await, second.asked().await);
    let mut client = sidecar.send(&post(CHAT, BODY)).await;
    client.until(COMMENT).await;
    first.refuse().await;
    at_first.write(&whole().replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)).await;
    drop(at_first);
    sidecar.until("upstream_retries_total{upstream=\"gpu0\",reason=\"unreachable\"}", 1.0).await;
    at_second.write(&whole()).await;
    let mut asked = soon(Asked::read(at_second.stream)).await.expect("the connection is kept");
    asked.body(BODY.len()).await;
    asked.write(&whole()).await;
    assert!(client.until(DONE).await.contains(TOKEN));
}

#[tokio::test]
async fn refusal_before_the_wait_keeps_its_status() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = kept_alive(nobody);
    config.proxy.sse_keep_alive = Duration::from_millis(1);
    let mut alice = key("alice", "sesame", Limits::default());
    alice.models = Some(Models::of(["other"]).unwrap());
    config.admission.keys = vec![alice];
    config.admission.require_key = true;
    let sidecar = sidecar(config).await;
    let refused = sidecar.exchange(&post_once(CHAT, BODY)).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let keyed = post_once(CHAT, BODY).replacen("\r\n", "\r\nAuthorization: Bearer sesame\r\n", 1);
    let refused = sidecar.exchange(&keyed).await;
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
}

#[tokio::test]
async fn request_for_no_stream_gets_no_lines() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(kept_alive(upstream.addr)).await;
    for (path, body, field) in [
        (CHAT, r#"{"model":"m","stream":false}"#, ""),
        (CHAT, r#"{"model":"m"}"#, ""),
        ("/api/chat", BODY, ""),
        ("/v1/unknown", BODY, ""),
        // No coding would be acceptable in which the lines could be sent.
        (CHAT, BODY, "Accept-Encoding: gzip, identity;q=0\r\n"),
    ] {
        let request = post_once(path, body).replacen("Host", &format!("{field}Host"), 1);
        let client = sidecar.send(&request).await;
        let mut asked = upstream.asked().await;
        asked.body(body.len()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        asked.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        let seen = client.rest().await;
        assert!(seen.starts_with("HTTP/1.1 404 "), "{path} {body} {field}: {seen}");
    }
}

#[tokio::test]
async fn http_1_0_client_gets_lines_and_the_stream_until_the_connection_closes() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(kept_alive(upstream.addr)).await;
    let mut client = sidecar.send(&post(CHAT, BODY).replacen("HTTP/1.1", "HTTP/1.0", 1)).await;
    let mut asked = upstream.asked().await;
    let seen = client.until(COMMENT).await;
    asked.write(&whole()).await;
    let seen = seen + &client.rest().await;
    assert!(!seen.to_lowercase().contains("transfer-encoding"), "{seen}");
    assert!(seen.ends_with(&[COMMENT, TOKEN, DONE].concat()), "{seen}");
}

#[tokio::test]
async fn upload_that_is_not_read_whole_gets_lines_and_a_connection_that_closes() {
    let mut upstream = upstream().await;
    let mut config = kept_alive(upstream.addr);
    config.proxy.peek_limit = 1 << 10;
    config.proxy.read_ahead_budget = 0;
    let sidecar = sidecar(config).await;
    let body = format!("{{\"model\":\"m\",\"stream\":true,\"pad\":\"{}\"}}", "a".repeat(100_000));
    let request = post(CHAT, &body);
    let (begin, rest) = request.split_at(request.len() - 1000);
    let mut client = sidecar.send(begin).await;
    let mut asked = upstream.asked().await;
    let seen = client.until(COMMENT).await;
    assert!(seen.to_lowercase().contains("\r\nconnection: close\r\n"), "{seen}");
    client.write(rest).await;
    assert_eq!(asked.body(body.len()).await, body);
    asked.write(&whole()).await;
    assert!(client.rest().await.ends_with(&[&chunk(TOKEN), &chunk(DONE), "0\r\n\r\n"].concat()));
}
