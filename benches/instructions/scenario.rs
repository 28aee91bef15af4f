//! The counted scenarios.

use std::{
    convert::Infallible,
    hint::black_box,
    num::NonZeroU32,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::relay::{self, Relay};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use http_body::{Body, Frame};
use prometheus::Registry;
use streamgauge::{
    admission::{Access, Admission, Config as Keys, Digest, Key, Limits, Quota},
    meter::{Config, Facts, Meter},
    protocol::{Dialect, Framing, Route, Scanner},
};

pub(crate) const RECORD: &[u8] = b"{\"model\":\"llama3.2:latest\",\"created_at\":\"2025-11-24T09:15:30.123456789Z\",\"response\":\" measured\",\"done\":false}\n";
const EVENT: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1763975730,\"model\":\"llama3.2:1b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" measured\"},\"finish_reason\":null}]}\n\n";
const FINAL: &[u8] = b"{\"model\":\"llama3.2:latest\",\"created_at\":\"2025-11-24T09:15:31.123456789Z\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"total_duration\":1000000000,\"load_duration\":10000000,\"prompt_eval_count\":12,\"prompt_eval_duration\":20000000,\"eval_count\":8,\"eval_duration\":900000000}\n";

/// A function that repeats something.
pub(crate) type Scenario = (&'static str, fn(u64));

/// The scenarios whose instructions are counted.
pub(crate) const SCENARIOS: [Scenario; 17] = [
    ("record", |times| scan(Framing::Ndjson, Dialect::Ollama, RECORD, times)),
    ("event", |times| scan(Framing::Sse, Dialect::OpenAi, EVENT, times)),
    ("chunk", chunk),
    ("stream", stream),
    ("admission", admission),
    ("chunk-direct", |times| relay::chunks(Relay::Direct, times)),
    ("chunk-copy", |times| relay::chunks(Relay::Copy, times)),
    ("chunk-hyper", |times| relay::chunks(Relay::Hyper, times)),
    ("chunk-sidecar", |times| relay::chunks(Relay::Sidecar, times)),
    ("chunk-instrumented", |times| relay::chunks(Relay::Instrumented, times)),
    ("chunk-traced", |times| relay::chunks(Relay::Traced, times)),
    ("request-direct", |times| relay::requests(Relay::Direct, times)),
    ("request-copy", |times| relay::requests(Relay::Copy, times)),
    ("request-hyper", |times| relay::requests(Relay::Hyper, times)),
    ("request-sidecar", |times| relay::requests(Relay::Sidecar, times)),
    ("request-instrumented", |times| relay::requests(Relay::Instrumented, times)),
    ("request-traced", |times| relay::requests(Relay::Traced, times)),
];

/// The scenarios whose allocated bytes are counted, at their end.
pub(crate) const HELD: [Scenario; 7] = [
    ("held-direct", |times| relay::streams(Relay::Direct, times)),
    ("held-copy", |times| relay::streams(Relay::Copy, times)),
    ("held-hyper", |times| relay::streams(Relay::Hyper, times)),
    ("held-instrumented", |times| relay::streams(Relay::Instrumented, times)),
    ("held-traced", |times| relay::streams(Relay::Traced, times)),
    ("waiting-hyper", |times| relay::waiting(Relay::Hyper, times)),
    ("waiting-instrumented", |times| relay::waiting(Relay::Instrumented, times)),
];

/// A record in a read of its own.
fn scan(framing: Framing, dialect: Dialect, read: &[u8], times: u64) {
    let mut scanner = Scanner::new(framing, dialect);
    for _ in 0..times {
        scanner.scan(black_box(read), |scan| {
            black_box(scan);
        });
    }
}

/// Chunks of one record each, and then the last chunk of the stream.
struct Chunks(u64);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        let record = if left == 0 { FINAL } else { RECORD };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(record)))))
    }
}

/// A stream from its request to its recorded outcome.
fn metered(meter: &Meter, chunks: u64) {
    let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
    measurement.model_named("llama3.2:latest");
    measurement.upstream_chosen("gpu0");
    measurement.responded(StatusCode::OK);
    let mut body = pin!(measurement.wrap_body(Some("application/x-ndjson"), Chunks(chunks)));
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        black_box(frame);
    }
}

fn meter() -> Meter {
    Meter::register(&Registry::new(), &Config::default(), &["gpu0"]).expect("a new registry")
}

fn chunk(times: u64) {
    metered(&meter(), times);
}

fn stream(times: u64) {
    let meter = meter();
    for _ in 0..times {
        metered(&meter, 2);
    }
}

/// The last of 64 keys with limits.
fn admission(times: u64) {
    let quota = Some(Quota::new(NonZeroU32::MAX, Duration::from_secs(1)));
    let key = |number| format!("sk-proj-{number:0>156}");
    let keys = (0..64).map(|number| Key {
        name: format!("caller{number}"),
        digest: Digest::of(key(number).as_bytes()),
        limits: Limits { requests: quota, tokens: quota, ..Limits::default() },
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    });
    let config = Keys { keys: keys.collect(), ..Keys::default() };
    let admission = Admission::register(&Registry::new(), &config, &["complete"]).expect("a new registry");
    let value = HeaderValue::try_from(format!("Bearer {}", key(63))).expect("letters and digits");
    let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
    for _ in 0..times {
        drop(black_box(admission.admit(black_box(&headers), Route::Chat)));
    }
}
