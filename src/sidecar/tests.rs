//! A panic in a request ends only that request.

use std::time::Duration;

use prometheus::{Registry, TextEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const RECORD: &str = "{\"response\":\"a\",\"done\":false}\n";
const LAST: &str = "{\"response\":\"\",\"done\":true}\n";

fn chunk(data: &str) -> String {
    format!("{:X}\r\n{data}\r\n", data.len())
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The next connection that asks for a stream. Probes are answered.
async fn asked(upstream: &TcpListener) -> TcpStream {
    loop {
        let (mut stream, _) = upstream.accept().await.unwrap();
        if read_head(&mut stream).await.starts_with("POST ") {
            stream.write_all(format!("{HEAD}{}", chunk(RECORD)).as_bytes()).await.unwrap();
            return stream;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            .await
            .unwrap();
    }
}

async fn send(proxy: SocketAddr, target: &str) -> TcpStream {
    let mut client = TcpStream::connect(proxy).await.unwrap();
    let request =
        format!("POST {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}");
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

async fn rest(mut client: TcpStream) -> String {
    let mut seen = Vec::new();
    // A reset is an end too.
    let _ = client.read_to_end(&mut seen).await;
    String::from_utf8(seen).unwrap()
}

fn value(registry: &Registry, series: &str) -> f64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let all = lines.by_ref().filter(|(name, _)| name.starts_with(series));
    all.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

#[tokio::test]
async fn panic_ends_only_its_own_stream() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    let url = format!("http://{}", upstream.local_addr().unwrap()).parse().unwrap();
    config.upstream.upstreams = vec![crate::upstream::UpstreamConfig::new("gpu0", url)];
    let bound = Sidecar::builder().config(config).bind().await.unwrap();
    let (proxy, admin, registry) = (bound.proxy_addr(), bound.admin_addr(), bound.registry().clone());
    let running = tokio::spawn(bound.run(std::future::pending()));

    let other = send(proxy, "/api/generate").await;
    let mut from = asked(&upstream).await;

    let before_the_head = rest(send(proxy, "/panic").await).await;
    assert!(
        before_the_head.starts_with("HTTP/1.1 500 ") && before_the_head.contains("bug"),
        "{before_the_head}"
    );

    let client = send(proxy, "/api/generate").await;
    let mut stream = asked(&upstream).await;
    stream.write_all(chunk("panic\n").as_bytes()).await.unwrap();
    let in_the_body = rest(client).await;
    assert!(!in_the_body.ends_with("0\r\n\r\n"), "it looks whole: {in_the_body}");
    // The request to the upstream ends too.
    let mut left = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut left)).await.unwrap();

    from.write_all(format!("{}0\r\n\r\n", chunk(LAST)).as_bytes()).await.unwrap();
    assert!(rest(other).await.ends_with(&format!("{}0\r\n\r\n", chunk(LAST))));
    let settled = async {
        while value(&registry, "streamgauge_panics_total") < 2.0
            || value(&registry, "streamgauge_requests_in_flight") > 0.0
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.expect("it is counted");
    let outcome = |outcome: &str, route: &str| {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let is_it = |line: &&str| {
            line.starts_with("streamgauge_requests_total")
                && line.contains(&format!("outcome=\"{outcome}\""))
                && line.contains(&format!("route=\"{route}\""))
        };
        text.lines()
            .filter(is_it)
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum::<f64>()
    };
    assert_eq!(outcome("complete", "generate"), 1.0);
    assert_eq!(outcome("upstream_error", "generate"), 1.0);
    assert_eq!(outcome("upstream_error", "other"), 1.0);
    assert_eq!(value(&registry, "streamgauge_requests_total"), 3.0, "each is counted once");
    assert_eq!(value(&registry, "streamgauge_panics_total"), 2.0);
    let mut streams = TcpStream::connect(admin).await.unwrap();
    streams.write_all(b"GET /streams HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let streams = rest(streams).await;
    assert!(streams.starts_with("HTTP/1.1 200 "), "{streams}");
    assert!(!streams.contains("\"id\""), "a request that ended is still there: {streams}");
    running.abort();
}
