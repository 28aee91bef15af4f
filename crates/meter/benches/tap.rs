//! Measures the cost that metering adds to a chunk: a body polled through `Delivered` and `Tap`, compared with the
//! same body alone.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::{
    convert::Infallible,
    hint::black_box,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::StatusCode;
use http_body::{Body, Frame};
use prometheus::Registry;
use streamgauge_meter::meter::{Config, Facts, Meter};

/// Records of one token, 110 bytes. Their timestamps differ, as they do in a real stream.
const RECORDS: usize = 1000;

/// The same records without end, one per chunk.
struct Endless {
    records: Vec<Bytes>,
    next: usize,
}

impl Endless {
    fn new() -> Endless {
        let record = |index| {
            let line = format!(
                "{{\"model\":\"llama3.2:latest\",\"created_at\":\"2025-11-24T09:15:30.123{index:06}Z\",\
                 \"response\":\" measured\",\"done\":false}}\n"
            );
            assert_eq!(line.len(), 110);
            Bytes::from(line)
        };
        Endless { records: (0..RECORDS).map(record).collect(), next: 0 }
    }
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.records[self.next].clone();
        self.next = (self.next + 1) % RECORDS;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

/// One iteration is one chunk.
fn chunk<B: Body + Unpin>(criterion: &mut Criterion, name: &str, mut body: B) {
    let mut context = Context::from_waker(Waker::noop());
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| black_box(Pin::new(&mut body).poll_frame(&mut context).is_ready()));
    });
}

fn tap(criterion: &mut Criterion) {
    chunk(criterion, "chunk/bare", Endless::new());

    let meter = Meter::register(&Registry::new(), &Config::default(), &["gpu0"]).expect("a new registry");
    let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
    measurement.model_named("llama3.2:latest");
    measurement.upstream_chosen("gpu0");
    measurement.responded(StatusCode::OK);
    let body = measurement.wrap_body(Some("application/x-ndjson"), Endless::new());
    chunk(criterion, "chunk/metered", body);
}

criterion_group!(benches, tap);
criterion_main!(benches);
