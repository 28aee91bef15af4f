//! From a measurement to the bodies that carry it.

use super::{
    Delivered, Measurement, Tap,
    model::Claim,
    silence,
    tap::{Parts, Tapping},
    wrap::BodyStream,
};
use crate::protocol::{Framing, Scanner};

impl Measurement {
    /// Wraps a body of our own: nothing of it is scanned.
    #[must_use]
    pub fn deliver<B: http_body::Body<Data = bytes::Bytes>>(self, body: B) -> Delivered<B> {
        Delivered::new(self, body, None)
    }

    /// Splits into what goes around the upstream's body and what goes around the body that the client is
    /// sent, for layers that belong between them. `content_type` is the response's.
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
            self.children = Some(children.clone());
            let families = &self.shared.families;
            Box::new(Tapping::new(Parts {
                scanner: Scanner::coded(framing, self.facts.dialect, self.coding),
                live: self.live.clone(),
                streamed: self.streamed,
                children,
                upstream: self.account.clone(),
                unscanned: families.unscanned.clone(),
                scan_seconds: families.scan_seconds.clone(),
            }))
        });
        (Tap::new(body, tapping), DeliveredBy(self))
    }

    /// Wraps a response's body: measured as it arrives, its ending recorded once.
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

/// The half of a measurement that decides how the request ended.
#[derive(Debug)]
pub struct DeliveredBy(Measurement);

impl DeliveredBy {
    /// Wraps the body that the client is sent.
    #[must_use]
    pub fn wrap<B: http_body::Body<Data = bytes::Bytes>>(self, body: B) -> Delivered<B> {
        Delivered::new(self.0, body, None)
    }

    /// The same, for layers between that hand other frames on than they take, or later: what the client is sent is
    /// read once more. `framing` is the response's.
    #[must_use]
    pub fn wrap_shaped<B: http_body::Body<Data = bytes::Bytes>>(
        self,
        framing: Framing,
        body: B,
    ) -> Delivered<B> {
        Delivered::new(self.0, body, Some(framing))
    }
}
