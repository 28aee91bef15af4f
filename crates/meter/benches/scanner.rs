//! Measures the cost of scanning, which every record of every stream passes once.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamgauge_meter::protocol::{Dialect, Framing, Scan, Scanner};

/// The record of one token, 110 bytes.
const LINE: &str = "{\"model\":\"llama3.2:latest\",\"created_at\":\"2025-11-24T09:15:30.123456789Z\",\"response\":\" measured\",\"done\":false}\n";
const EVENT: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1763975730,\"model\":\"llama3.2:1b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" measured\"},\"finish_reason\":null}]}\n\n";
const READ: usize = 64 << 10;

/// Scans one read with a scanner that has already scanned others.
fn bench(criterion: &mut Criterion, name: &str, framing: Framing, dialect: Dialect, read: &[u8]) {
    let mut scanner = Scanner::new(framing, dialect);
    scanner.scan(read, |scan| assert!(matches!(scan, Scan::Record(_)), "{name}: {scan:?}"));
    let mut group = criterion.benchmark_group("scanner");
    group.throughput(Throughput::Bytes(read.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            scanner.scan(black_box(read), |scan| {
                black_box(scan);
            });
        });
    });
    group.finish();
}

fn scanner(criterion: &mut Criterion) {
    let ndjson = |criterion: &mut Criterion, name, read: &[u8]| {
        bench(criterion, name, Framing::Ndjson, Dialect::Ollama, read);
    };
    assert_eq!(LINE.len(), 110);
    ndjson(criterion, "one record alone", LINE.as_bytes());
    ndjson(criterion, "64 KiB of records", LINE.repeat(READ / LINE.len()).as_bytes());
    let text = "All work and no play makes Jack a dull boy. ".repeat(6000);
    ndjson(criterion, "long string", format!("{{\"response\":\"{text}\",\"done\":false}}\n").as_bytes());
    let context = (0..50_000).map(|token| (token * 7919 % 128_256).to_string()).collect::<Vec<_>>().join(",");
    ndjson(criterion, "long context", format!("{{\"done\":true,\"context\":[{context}]}}\n").as_bytes());
    bench(criterion, "one event alone", Framing::Sse, Dialect::OpenAi, EVENT.as_bytes());
    let events = EVENT.repeat(READ / EVENT.len());
    bench(criterion, "64 KiB of events", Framing::Sse, Dialect::OpenAi, events.as_bytes());
}

criterion_group!(benches, scanner);
criterion_main!(benches);
