//! The cost of a scrape of about 8,000 series over a persistent connection, plain and in gzip.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::print_stdout, reason = "the benchmark prints the size of the responses")]

use std::{future::pending, net::SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use prometheus::Registry;
use streamgauge::{
    metric::{Family, Histogram, buckets},
    sidecar::{Config, Sidecar},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};

/// The children of a histogram with 18 bounds, 21 series each: with the sidecar's own metrics about 8,000 series.
const MODELS: usize = 120;
const PLACES: [&str; 3] = ["upstream", "origin", "client"];

/// Starts a sidecar whose registry has this many series.
async fn sidecar() -> SocketAddr {
    let registry = Registry::new();
    let family = Family::register(&registry, "filler_seconds", "Between chunks.", ["model", "at"], || {
        Histogram::finer(buckets::GAP_FINE, buckets::GAP)
    });
    let family = family.expect("the name is free");
    for model in 0..MODELS {
        for at in PLACES {
            let child = family.child([&format!("llama3.2:{model}b-instruct-q4_K_M"), at]);
            (1..1000).for_each(|gap| child.observe(f64::from(gap) * 1.37e-4));
        }
    }
    let mut config = Config::default();
    config.proxy.listen.set_port(0);
    config.admin.listen.set_port(0);
    let bound = Sidecar::builder().config(config).registry(registry).bind().await.expect("it binds");
    let admin = bound.admin_addr();
    tokio::spawn(bound.run(pending::<()>()));
    admin
}

/// Requests `/metrics` once. `answer` contains the whole response then. Returns the length of its body.
async fn ask(stream: &mut TcpStream, accepts: &str, answer: &mut Vec<u8>) -> usize {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: h\r\n{accepts}\r\n");
    stream.write_all(request.as_bytes()).await.expect("it listens");
    answer.clear();
    loop {
        stream.read_buf(answer).await.expect("it answers");
        let Some(end) = answer.windows(4).take(1000).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).expect("a head is text").to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let length = length.parse::<usize>().expect("a number");
        if answer.len() == end + 4 + length {
            return length;
        }
    }
}

fn scrape(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let admin = runtime.block_on(sidecar());
    for (name, accepts) in [("plain", ""), ("gzip", "Accept-Encoding: gzip\r\n")] {
        let mut stream = runtime.block_on(TcpStream::connect(admin)).expect("it listens");
        let mut answer = Vec::new();
        let length = runtime.block_on(ask(&mut stream, accepts, &mut answer));
        let series =
            answer.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"streamgauge_")).count();
        println!("{name}: {length} bytes, {series} series that can be read as text");
        criterion.bench_function(&format!("scrape/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(ask(&mut stream, accepts, &mut answer)));
        });
    }
}

criterion_group!(benches, scrape);
criterion_main!(benches);
