//! The layers of the meter around a body.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use streamgauge::meter::{Config, Facts, Meter};

use super::counter::allocations;

const LINE: &[u8] = b"{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-11-24T09:15:30.123456789Z\",\"response\":\" measured\",\"done\":false}\n";
const EVENT: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1763975730,\"model\":\"llama3.2:1b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" measured\"},\"finish_reason\":null}]}\n\n";

/// A body that repeats the same chunk.
struct Endless(&'static [u8]);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.0)))))
    }
}

/// The allocations of a thousand chunks of a stream, after the first few.
fn of_a_stream(path: &str, content_type: &str, chunk: &'static [u8]) -> usize {
    let meter = Meter::register(&prometheus::Registry::new(), &Config::default(), &["gpu0"]).unwrap();
    let mut measurement = meter.start(Facts::new("POST", path));
    measurement.model_named("llama3.2:1b");
    measurement.upstream_chosen("gpu0");
    measurement.responded(http::StatusCode::OK);
    let mut body = measurement.wrap_body(Some(content_type), Endless(chunk));
    let mut context = Context::from_waker(Waker::noop());
    let mut chunks = |count| {
        for _ in 0..count {
            let polled = Pin::new(&mut body).poll_frame(&mut context);
            assert!(matches!(polled, Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        }
    };
    chunks(4);
    let allocations = allocations(|| chunks(1000));
    assert_eq!(meter.live()[0].tokens, 1004);
    allocations
}

#[test]
fn chunk_through_meter_allocates_nothing() {
    assert_eq!(of_a_stream("/api/generate", "application/x-ndjson", LINE), 0);
    assert_eq!(of_a_stream("/v1/chat/completions", "text/event-stream", EVENT), 0);
}
