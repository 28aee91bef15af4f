//! Connections between requests, and the heads that begin on them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{harness::*, hostile::strict::strict};

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn idle_connection_outlives_header_timeout_before_and_after_a_request() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.proxy.header_timeout = SHORT;
    let sidecar = sidecar(config).await;
    let mut client = sidecar.connect().await;
    for _ in 0..3 {
        sleep(2 * SHORT).await;
        client.write(NEXT).await;
        assert!(client.until("{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(sidecar.value("requests_malformed_total{reason=\"head_timeout\"}"), 0.0);
}

#[tokio::test]
async fn idle_connection_is_closed_after_keep_alive_timeout() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.proxy.keep_alive_timeout = SHORT;
    let sidecar = sidecar(config).await;
    let began = Instant::now();
    assert_eq!(sidecar.connect().await.rest().await, "");
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    let mut client = sidecar.send(NEXT).await;
    client.until("{}").await;
    let began = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!(began.elapsed() >= SHORT / 2, "{:?}", began.elapsed());
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
}

#[tokio::test]
async fn head_on_idle_connection_has_the_whole_header_timeout() {
    let strict = strict().await;
    let mut config = config(strict.addr);
    config.proxy.header_timeout = Duration::from_secs(5);
    config.proxy.keep_alive_timeout = PATIENCE;
    let sidecar = sidecar(config).await;
    let mut client = sidecar.send(NEXT).await;
    client.until("{}").await;
    // Idle for as long as a head may take, and then half of a head.
    sleep(Duration::from_secs(5)).await;
    client.write("GET /next HT").await;
    sleep(Duration::from_secs(1)).await;
    client.write("TP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(client.until("{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn upload_that_continues_after_response_is_no_slow_head() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.header_timeout = SHORT;
    config.proxy.keep_alive_timeout = SHORT;
    let sidecar = sidecar(config).await;
    let mut client =
        sidecar.send("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc").await;
    let mut asked = upstream.asked().await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    assert!(client.until("{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
    for piece in ["def", "ghi"] {
        sleep(2 * SHORT).await;
        client.write(piece).await;
    }
    assert_eq!(asked.body(9).await, "abcdefghi");
    assert_eq!(sidecar.value("requests_malformed_total{reason=\"head_timeout\"}"), 0.0);
}

#[tokio::test]
async fn client_that_reads_end_of_response_late_is_not_idle() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.proxy.keep_alive_timeout = SHORT;
    let sidecar = sidecar(config).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let stream = soon(socket.connect(sidecar.proxy)).await.unwrap();
    let mut client = Client { stream };
    client.write(&generate()).await;
    let mut asked = upstream.asked().await;
    let length = 20 << 20;
    asked.write(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
    let writing = async { asked.write(&"a".repeat(length)).await };
    let reading = async {
        client.until("\r\n\r\n").await;
        let mut body = 0;
        // The rest is in the sidecar and in its socket for longer than a connection may be idle.
        while body < length {
            if length - body < 200_000 {
                sleep(2 * SHORT).await;
            }
            let mut piece = vec![0; 100_000];
            let read = soon(tokio::io::AsyncReadExt::read(&mut client.stream, &mut piece)).await.unwrap();
            assert_ne!(read, 0, "closed after {body} of {length} bytes");
            body += read;
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn silent_connection_is_closed_before_and_after_its_first_request() {
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
