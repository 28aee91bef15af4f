//! The outermost body, which the client gets. It decides the outcome of the request, once.

use std::{
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{backlog::HELD_AFTER, measurement::Measurement, outcome::Outcome, schedule::Schedule};
use crate::{
    metric::LocalHistogram,
    protocol::{Framing, Scan, Scanner},
};

pin_project! {
    /// A body whose outcome is recorded once: at its end, at an error, or when it is dropped.
    #[derive(Debug)]
    pub struct Delivered<B: Body> {
        #[pin]
        inner: B,
        delivery: Delivery,
    }

    impl<B: Body> PinnedDrop for Delivered<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // hyper drops a body of known length without polling it to its end, and clients close after the terminal
            // record. In neither case has the client left early.
            let at_end = this.inner.is_end_stream();
            let is_owed = this.inner.size_hint().lower() > 0;
            this.delivery.dropped(at_end, is_owed);
        }
    }
}

#[derive(Debug)]
struct Delivery {
    measurement: Measurement,
    /// The bytes of a declared length that are not handed over yet.
    left: Option<u64>,
    handed: Option<Instant>,
    waited: bool,
    content: u64,
    last_content: Option<Instant>,
    gap: Option<LocalHistogram>,
    overhead: LocalHistogram,
    /// Reads the frames again if a layer between delays or changes them.
    shaped: Option<Box<Scanner>>,
    /// Whether the frame was passed on in the same poll in which the newest chunk arrived, so that nothing held it.
    at_once: bool,
    schedule: Schedule,
}

impl<B: Body<Data = Bytes>> Delivered<B> {
    /// `shaped` is the framing with which the frames are read again, if a layer between changes them.
    pub(super) fn new(measurement: Measurement, inner: B, shaped: Option<Framing>) -> Delivered<B> {
        let gap = measurement.children.as_ref().filter(|_| measurement.streamed);
        let gap = gap.map(|children| LocalHistogram::new(children.gap_client.clone()));
        let delivery = Delivery {
            left: inner.size_hint().exact(),
            handed: None,
            waited: false,
            content: 0,
            last_content: None,
            gap,
            overhead: LocalHistogram::new(measurement.shared.families.chunks.self_overhead.clone()),
            shaped: shaped
                .filter(|_| measurement.streamed)
                .map(|framing| Box::new(Scanner::new(framing, measurement.facts.dialect))),
            at_once: true,
            schedule: Schedule::new(measurement.live.accepted),
            measurement,
        };
        Delivered { inner, delivery }
    }
}

impl<B: Body<Data = Bytes>> Body for Delivered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let delivery = this.delivery;
        let before = delivery.shaped.as_ref().map(|_| delivery.measurement.live.last_arrival.get());
        let polled = this.inner.poll_frame(cx);
        delivery.at_once = before.is_none_or(|before| before != delivery.measurement.live.last_arrival.get());
        if polled.is_pending() && !delivery.waited {
            delivery.waited = true;
            delivery.measurement.live.frame_wanted();
        }
        let polled = ready!(polled);
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    delivery.handed(data);
                }
            }
            Some(Err(_)) => delivery.end(delivery.measurement.live.broken()),
            None => delivery.end(delivery.measurement.ended()),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Delivery {
    fn handed(&mut self, data: &Bytes) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(data.len() as u64);
        }
        let waited = std::mem::take(&mut self.waited);
        if self.gap.is_none() {
            return;
        }
        let now = Instant::now();
        let stretch = self.handed.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let held = !waited && stretch > HELD_AFTER;
        self.handed = Some(now);
        let live = &self.measurement.live;
        let age = now.saturating_duration_since(live.accepted);
        live.frame_handed(age);
        if held && self.measurement.children.is_some() {
            live.held.end(stretch);
        }
        if let Some(arrival) = live.last_arrival.get().filter(|_| self.at_once) {
            self.overhead.observe(age.saturating_sub(arrival).as_secs_f64());
        }
        if self.has_content(data) {
            if let (Some(gap), Some(last)) = (&mut self.gap, self.last_content.filter(|_| !held)) {
                gap.observe(now.saturating_duration_since(last).as_secs_f64());
            }
            self.last_content = Some(now);
        }
        if self.schedule.is_due(now) {
            self.flush();
        }
    }

    /// Returns whether a frame has content. If no layer changes frames, the chunk that just arrived decides.
    fn has_content(&mut self, data: &Bytes) -> bool {
        let Some(scanner) = &mut self.shaped else {
            let content = self.measurement.live.content.load(Relaxed);
            return content != std::mem::replace(&mut self.content, content);
        };
        let mut found = false;
        scanner.scan(data, |scan| found |= matches!(scan, Scan::Record(record) if record.has_content));
        found
    }

    /// `is_owed`: a layer between holds bytes, so the terminal record may have arrived and not been handed over.
    fn dropped(&mut self, at_end: bool, is_owed: bool) {
        let measurement = &self.measurement;
        if std::thread::panicking() {
            return self.end(measurement.abandoned());
        }
        // A decided outcome is valid even if the body is not read, as that of a response to HEAD.
        let whole = at_end
            || self.left == Some(0)
            || measurement.decided.is_some()
            || (measurement.live.is_terminal() && !is_owed);
        let outcome = if whole { measurement.ended() } else { measurement.abandoned() };
        self.end(outcome);
    }

    /// Records the outcome. Local counts are flushed first, so that an ended stream is counted completely.
    fn end(&mut self, outcome: Outcome) {
        if outcome == Outcome::ClientAbort {
            // A client that read nothing until it left was never seen to read again.
            self.measurement.live.count_held();
        }
        self.flush();
        self.measurement.longest_client_gap = self.gap.as_ref().map_or(0.0, LocalHistogram::highest);
        self.measurement.record(outcome);
    }

    fn flush(&mut self) {
        if let Some(gap) = &mut self.gap {
            gap.flush();
        }
        self.overhead.flush();
    }
}
