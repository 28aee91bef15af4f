//! A blob of 2 GiB passes through and leaves no memory behind. It has a process of its own, since it reads the
//! memory of the process.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use streamgauge::{
    sidecar::{Config, Sidecar},
    upstream::UpstreamConfig,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BLOB: u64 = 2 << 30;
/// The most by which the process may grow: the buffers of two connections, of hyper and of this test.
const GROWTH: u64 = 8 << 20;
const ANSWER: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

/// The resident memory in bytes: now, and its peak.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}

/// Receives a blob, slowly at first, and answers with its length in place of the status text.
async fn sink(listener: TcpListener) -> u64 {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        if !head.starts_with(b"POST /api/blobs/") {
            // A probe of the sidecar.
            continue;
        }
        let (mut buffer, pattern) = (vec![0; 256 << 10], vec![b'g'; 256 << 10]);
        let mut left = BLOB;
        // Nothing is read for a while, which reveals a buffer without a limit.
        tokio::time::sleep(Duration::from_millis(300)).await;
        while left > 0 {
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "{left} bytes are missing");
            assert!(buffer[..count] == pattern[..count]);
            left -= count as u64;
        }
        stream.write_all(ANSWER).await.unwrap();
        return BLOB;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blob_of_2_gib_passes_in_constant_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    config.upstream.upstreams = vec![UpstreamConfig::new("sink", url)];
    let sunk = tokio::spawn(sink(listener));
    let bound = Sidecar::builder().config(config).bind().await.unwrap();
    let mut client = TcpStream::connect(bound.proxy_addr()).await.unwrap();
    tokio::spawn(bound.run(std::future::pending()));

    let head = format!("POST /api/blobs/sha256:0 HTTP/1.1\r\nHost: h\r\nContent-Length: {BLOB}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'g'; 256 << 10];
    let before = resident("VmRSS");
    let mut sent = 0;
    while sent < BLOB {
        client.write_all(&piece).await.unwrap();
        sent += piece.len() as u64;
    }
    let mut answer = vec![0; ANSWER.len()];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, ANSWER);
    assert_eq!(sunk.await.unwrap(), BLOB);
    let most = resident("VmHWM");
    assert!(most < before + GROWTH, "from {before} to {most} bytes");
}
