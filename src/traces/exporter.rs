//! The task that exports spans.

use std::{pin::pin, sync::Arc, time::Duration};

use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Endpoint, Undelivered},
    families::{DropReason, Families},
    finished::Finished,
    health::EndpointHealth,
    span::span,
};

/// The most spans of one request to the endpoint.
const BATCH: usize = 512;
/// How long a batch is tried. Meanwhile new spans wait in the queue.
const TRIED_FOR: Duration = Duration::from_secs(60);
/// The first pause before a batch is tried again. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Exports the spans of the queue.
#[derive(Debug)]
pub(super) struct Exporter {
    endpoint: Endpoint,
    spans: mpsc::Receiver<Box<Finished>>,
    interval: Duration,
    families: Arc<Families>,
    closing: CancellationToken,
    health: EndpointHealth,
}

impl Exporter {
    pub(super) fn new(
        endpoint: Endpoint,
        spans: mpsc::Receiver<Box<Finished>>,
        interval: Duration,
        families: Arc<Families>,
        closing: CancellationToken,
    ) -> Exporter {
        Exporter { endpoint, spans, interval, families, closing, health: EndpointHealth::default() }
    }

    /// Exports until `closing`, and then what is left.
    pub(super) async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            // Freed before the wait for the endpoint.
            let spans = batch.iter().map(|finished| span(finished)).collect();
            drop(batch);
            let body = self.endpoint.encode(spans);
            match self.deliver(body).await {
                Ok(rejected) => {
                    let rejected = rejected.min(count as u64);
                    self.families.exported(count as u64 - rejected);
                    self.families.dropped(DropReason::Rejected, rejected);
                }
                Err(reason) => self.families.dropped(reason, count as u64),
            }
            self.families.gave(count);
        }
    }

    /// The next spans, after the first of them has waited for others. Empty: the sidecar ends, and none is left.
    async fn gather(&mut self) -> Vec<Box<Finished>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            _ = self.spans.recv_many(&mut batch, BATCH) => {}
            () = self.closing.cancelled() => {}
        }
        let mut due = pin!(sleep(self.interval));
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {
                    // All that is there now, without a wait.
                    while batch.len() < BATCH
                        && let Ok(finished) = self.spans.try_recv()
                    {
                        batch.push(finished);
                    }
                    break;
                }
                () = &mut due => break,
                _ = self.spans.recv_many(&mut batch, room) => {}
            }
        }
        batch
    }

    /// Posts a batch, again and again for a while if the endpoint may take it later. When the sidecar ends, it is tried
    /// once more. Returns how many spans the endpoint rejected, or why the batch is dropped.
    async fn deliver(&mut self, body: bytes::Bytes) -> Result<u64, DropReason> {
        let until = Instant::now() + TRIED_FOR;
        let mut pause = FIRST_PAUSE;
        loop {
            let is_last = self.closing.is_cancelled();
            let why = match self.endpoint.post(body.clone()).await {
                Ok(rejected) => {
                    self.health.works(self.endpoint.url());
                    return Ok(rejected);
                }
                Err(why) => why,
            };
            self.families.failed(&why);
            self.health.fails(self.endpoint.url(), &why);
            if matches!(why, Undelivered::Refused(_)) {
                return Err(DropReason::Refused);
            }
            let wait = why.wanted_pause().unwrap_or_else(|| spread(pause));
            if is_last {
                return Err(DropReason::Shutdown);
            }
            if Instant::now() + wait > until {
                return Err(DropReason::Undelivered);
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = self.closing.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The pause, longer by up to a half, so that several sidecars do not try at the same time.
fn spread(pause: Duration) -> Duration {
    let chance = u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes());
    pause.mul_f64(1.0 + chance as f64 / u64::MAX as f64 / 2.0)
}
