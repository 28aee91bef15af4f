//! The fields of `proxy.response_fields`: on forwarded, refused and failed responses, and only if they are turned on.

use serde_json::Value;

use crate::harness::*;

const BODY: &str = r#"{"model":"m"}"#;
const ORIGIN: &str = "Origin: http://localhost:3000\r\nHost";

/// The value of a field of a response.
fn field(response: &str, name: &str) -> Option<String> {
    let (head, _) = response.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

async fn with_fields(upstream: &Upstream) -> Sidecar {
    let mut config = config(upstream.addr);
    config.proxy.response_fields = true;
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 1;
    sidecar(config).await
}

#[tokio::test]
async fn response_has_the_id_of_its_request_its_wait_and_its_upstream() {
    let mut upstream = upstream().await;
    let sidecar = with_fields(&upstream).await;
    let mut first = sidecar.send(&post("/api/generate", BODY)).await;
    let mut asked = upstream.asked().await;
    asked.body(BODY.len()).await;
    let mut second = sidecar.send(&post("/api/generate", BODY)).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    let streams: Value = serde_json::from_str(&sidecar.page("/streams").await.1).unwrap();
    let ids: Vec<_> = streams["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    // The queue is full.
    let third = sidecar.exchange(&post_once("/api/generate", BODY).replacen("Host", ORIGIN, 1)).await;
    assert!(third.starts_with("HTTP/1.1 503 "), "{third}");
    assert_eq!(field(&third, "x-streamgauge-request-id").unwrap().len(), 16);
    assert!(field(&third, "server-timing").unwrap().starts_with("queue;dur=0.000"), "{third}");
    let exposed = third.to_lowercase();
    assert!(
        exposed.contains("\r\naccess-control-expose-headers: x-streamgauge-request-id, server-timing\r\n"),
        "{third}"
    );

    let whole = [
        STREAM.replacen("\r\n", "\r\nServer-Timing: ollama;dur=1\r\n", 1),
        chunk(LAST),
        "0\r\n\r\n".to_owned(),
    ];
    asked.write(&whole.concat()).await;
    let first = first.until("0\r\n\r\n").await;
    let mut asked = soon(Asked::read(asked.stream)).await.expect("the connection is kept");
    asked.write(&whole.concat()).await;
    let second = second.until("0\r\n\r\n").await;
    assert_eq!([&first, &second].map(|seen| field(seen, "x-streamgauge-request-id").unwrap()), ids[..]);
    for response in [&first, &second] {
        assert_eq!(field(response, "server-timing").unwrap(), "ollama;dur=1", "that of Ollama stays");
    }
    assert!(first.contains("server-timing: queue;dur=0.000, upstream;desc=\"gpu0\"\r\n"), "{first}");
    let waited = second.lines().find_map(|line| line.strip_prefix("server-timing: queue;dur=")).unwrap();
    let (waited, upstream) = waited.split_once(", ").unwrap();
    assert!(waited.parse::<f64>().unwrap() > 0.0, "{second}");
    assert_eq!(upstream, "upstream;desc=\"gpu0\"");
}

#[tokio::test]
async fn response_of_a_failed_upstream_has_the_fields() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = config(nobody);
    config.proxy.response_fields = true;
    let sidecar = sidecar(config).await;
    let failed = sidecar.exchange(&post_once("/api/generate", BODY)).await;
    assert!(failed.starts_with("HTTP/1.1 502 "), "{failed}");
    let listed: Value = serde_json::from_str(&sidecar.page("/requests").await.1).unwrap();
    assert_eq!(listed["requests"][0]["id"], field(&failed, "x-streamgauge-request-id").unwrap());
    assert_eq!(field(&failed, "server-timing").unwrap(), "queue;dur=0.000, upstream;desc=\"gpu0\"");
}

#[tokio::test]
async fn response_has_no_field_more_than_the_upstreams_by_default() {
    let (_upstream, _sidecar, mut client, mut asked) = generating().await;
    asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    let seen = client.until("0\r\n\r\n").await.to_lowercase();
    assert!(!seen.contains("x-streamgauge") && !seen.contains("server-timing"), "{seen}");
}
