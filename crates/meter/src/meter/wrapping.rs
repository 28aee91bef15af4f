//! Wraps bodies with a measurement.

use super::{
    Delivered, Measurement, Tap,
    model::Claim,
    silence,
    tap::{Parts, Tapping},
    wrap::BodyStream,
};
use crate::protocol::{Framing, Scanner};

impl Measurement {
    /// Wraps a body of the sidecar itself, which is not scanned.
    #[must_use]
    pub fn deliver<B: http_body::Body<Data = bytes::Bytes>>(self, body: B) -> Delivered<B> {
        Delivered::new(self, body, None)
    }

    /// Splits the measurement into the part around the upstream's body and the part around the body that the client
    /// gets, for layers that belong between them. `content_type` is that of the response.
    #[must_use]
    pub fn split<B>(mut self, content_type: Option<&str>, body: B) -> (Tap<B>, DeliveredBy) {
        let framing = content_type.and_then(Framing::of).filter(|_| self.has_body());
        let success = self.status.is_none_or(|status| status.is_success());
        if success {
            self.settle(Claim::Answered);
        }
        self.streamed = success && matches!(framing, Some(Framing::Ndjson | Framing::Sse));
        if success {
            self.live.is_of(silence::RequestKind { streamed: self.streamed, ..self.live.silence_kind() });
        }
        let route = self.live.route;
        let tapping = framing.filter(|_| success && (self.streamed || route.takes_slot())).map(|framing| {
            let upstream = self.live.upstream();
            let upstream = upstream.as_deref().unwrap_or("none");
            let children = self.shared.families.stream(upstream, self.model_label(), route);
            self.live.held.count_by(&children.backpressure);
            self.children = Some(children.clone());
            let families = &self.shared.families;
            Box::new(Tapping::new(Parts {
                scanner: Scanner::coded(framing, self.facts.dialect, self.coding),
                live: self.live.clone(),
                streamed: self.streamed,
                children,
                upstream: self.account.clone(),
                unscanned: families.records.unscanned.clone(),
                scan_seconds: families.records.scan_seconds.clone(),
            }))
        });
        (Tap::new(body, tapping), DeliveredBy(self))
    }

    /// Wraps a response's body. It is measured as it arrives, and its outcome is recorded once.
    #[must_use]
    pub fn wrap_body<B>(self, content_type: Option<&str>, body: B) -> Delivered<Tap<B>>
    where
        B: http_body::Body<Data = bytes::Bytes>,
    {
        let (tap, delivered) = self.split(content_type, body);
        delivered.wrap(tap)
    }

    /// Wraps a stream of bytes, such as the `bytes_stream()` of a reqwest response.
    #[must_use]
    pub fn wrap_stream<S, E>(
        self,
        content_type: Option<&str>,
        stream: S,
    ) -> BodyStream<Delivered<Tap<BodyStream<S>>>>
    where
        S: futures_core::Stream<Item = Result<bytes::Bytes, E>>,
    {
        BodyStream::new(self.wrap_body(content_type, BodyStream::new(stream)))
    }
}

/// The half of a measurement that decides the outcome of the request.
#[derive(Debug)]
pub struct DeliveredBy(Measurement);

impl DeliveredBy {
    /// Wraps the body that the client gets.
    #[must_use]
    pub fn wrap<B: http_body::Body<Data = bytes::Bytes>>(self, body: B) -> Delivered<B> {
        Delivered::new(self.0, body, None)
    }

    /// Wraps the body that the client gets, if layers between delay or change frames. The frames for the client are
    /// then read again. `framing` is that of the response.
    #[must_use]
    pub fn wrap_shaped<B: http_body::Body<Data = bytes::Bytes>>(
        self,
        framing: Framing,
        body: B,
    ) -> Delivered<B> {
        Delivered::new(self.0, body, Some(framing))
    }
}
