//! Measures the cost of a chunk in the shaping layers: with all layers off, and with the layers that do not wait.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_body::{Body, Frame};
use prometheus::Registry;
use streamgauge_meter::protocol::{Dialect, Framing, Route};
use streamgauge_meter::shaping::{Config, Families, Shaping, Stream, coalesce};

const CHUNKS: usize = 1000;
const RECORD: &[u8] = b"{\"model\":\"gemma3:270m\",\"created_at\":\"2026-01-01T00:00:00.000000000Z\",\
    \"message\":{\"role\":\"assistant\",\"content\":\" word\"},\"done\":false}\n";

/// A number of chunks with one record each, all ready at once.
struct Chunks(usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(RECORD)))))
    }
}

/// Polls a body to its end.
fn drain(body: impl Body<Data = Bytes, Error = Infallible>) -> usize {
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    let mut bytes = 0;
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    bytes
}

fn layers(criterion: &mut Criterion) {
    let stream = Stream {
        route: Route::Chat,
        dialect: Dialect::Ollama,
        framing: Some(Framing::Ndjson),
        caller: "anonymous",
        pace: None,
        upstream: "gpu0",
        strip_usage: false,
    };
    // Ten records per chunk.
    let coalesce = coalesce::Config { delay: Duration::from_secs(10), bytes: 10 * RECORD.len() };
    let coalesced = Config { coalesce: Some(coalesce), ..Config::default() };
    let merged = Config { merge: true, ..coalesced.clone() };
    // A layer that waits needs a timer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    let mut group = criterion.benchmark_group("shaping");
    group.throughput(Throughput::Elements(CHUNKS as u64));
    group.bench_function("bare", |bencher| bencher.iter(|| drain(Chunks(CHUNKS))));
    for (name, config) in [("off", Config::default()), ("coalesced", coalesced), ("merged", merged)] {
        let families = Families::register(&Registry::new()).expect("a new registry");
        let shaping = Shaping::new(families, config);
        group.bench_function(name, |bencher| bencher.iter(|| drain(shaping.wrap(&stream, Chunks(CHUNKS)))));
    }
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
