//! Counters of the simulator, with which a test compares its measurements.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::faults::Fault;

/// Counters of a simulator since its start. Reading them is cheap and never waits.
///
/// A stream here is one answer that is generated, whether it was requested as a stream or not.
#[derive(Debug)]
pub struct Truth {
    requests: [AtomicU64; Endpoint::COUNT],
    faults: [AtomicU64; Fault::COUNT],
    started: AtomicU64,
    cloud: AtomicU64,
    ended: AtomicU64,
    cancelled: AtomicU64,
    output_tokens: AtomicU64,
    prompt_tokens: AtomicU64,
    blob_bytes: AtomicU64,
    waiting: AtomicU64,
    decoding: AtomicU64,
    max_decoding: AtomicU64,
    last_cancel: Mutex<Option<Instant>>,
    changed: watch::Sender<()>,
}

impl Truth {
    pub(super) fn new() -> Self {
        Self {
            requests: [const { AtomicU64::new(0) }; Endpoint::COUNT],
            faults: [const { AtomicU64::new(0) }; Fault::COUNT],
            started: AtomicU64::new(0),
            cloud: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
            prompt_tokens: AtomicU64::new(0),
            blob_bytes: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            decoding: AtomicU64::new(0),
            max_decoding: AtomicU64::new(0),
            last_cancel: Mutex::new(None),
            changed: watch::Sender::new(()),
        }
    }

    /// Returns the requests of one route, named as in `/api/chat`, `/api/blobs/:digest`, `/v1/models/:model`. `other`
    /// stands for every path that is not a route. An unknown name has had no requests.
    #[must_use]
    pub fn requests(&self, path: &str) -> u64 {
        Endpoint::ALL
            .iter()
            .zip(&self.requests)
            .filter(|(endpoint, _)| endpoint.path() == path)
            .map(|(_, count)| count.load(Relaxed))
            .sum()
    }

    /// Returns the requests of all routes.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.requests.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Returns the streams that had a first token.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.load(Relaxed)
    }

    /// Returns the requests for the cloud, with any result. The answers of the cloud count as streams and tokens, but
    /// not as decoding here.
    #[must_use]
    pub fn cloud(&self) -> u64 {
        self.cloud.load(Relaxed)
    }

    /// Returns the streams that were sent up to their last record.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Relaxed)
    }

    /// Returns the requests to generate whose client left before the last record. A request that was still waiting
    /// counts here and not as started.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.cancelled.load(Relaxed)
    }

    /// Returns the time at which the latest cancellation was detected.
    #[must_use]
    pub fn last_cancel(&self) -> Option<Instant> {
        *self.last_cancel.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Returns the generated tokens: records with content or thinking, and the tokens of tool calls, which are not
    /// sent one by one.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        self.output_tokens.load(Relaxed)
    }

    /// Returns the tokens of the evaluated prompts, cached ones included.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.prompt_tokens.load(Relaxed)
    }

    /// Returns the received bytes of blobs.
    #[must_use]
    pub fn blob_bytes(&self) -> u64 {
        self.blob_bytes.load(Relaxed)
    }

    /// Returns how often a fault was injected: per stream, or per record for `split`, `batch` and `garbage`.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault.index()].load(Relaxed)
    }

    /// Returns the requests that wait for a slot now.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Returns the streams that decode here now.
    #[must_use]
    pub fn decoding(&self) -> u64 {
        self.decoding.load(Relaxed)
    }

    /// Returns the largest number of streams that ever decoded here at once.
    #[must_use]
    pub fn max_decoding(&self) -> u64 {
        self.max_decoding.load(Relaxed)
    }

    /// Waits until `condition` holds. It is checked whenever a request arrives, a stream starts, ends, is cancelled
    /// or is queued, and when a fault is injected, but not at each token.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.changed.subscribe();
        while !condition(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn count_request(&self, endpoint: Endpoint) {
        self.requests[endpoint.index()].fetch_add(1, Relaxed);
        self.tell();
    }

    pub(super) fn count_fault(&self, fault: Fault) {
        self.faults[fault.index()].fetch_add(1, Relaxed);
        self.tell();
    }

    pub(super) fn count_prompt(&self, tokens: u32) {
        self.prompt_tokens.fetch_add(u64::from(tokens), Relaxed);
    }

    pub(super) fn count_token(&self) {
        self.output_tokens.fetch_add(1, Relaxed);
    }

    pub(super) fn count_blob_bytes(&self, bytes: usize) {
        self.blob_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn count_ended(&self) {
        self.ended.fetch_add(1, Relaxed);
        self.tell();
    }

    pub(super) fn count_cancelled(&self) {
        *self.last_cancel.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
        self.cancelled.fetch_add(1, Relaxed);
        self.tell();
    }

    pub(super) fn waiting_changed(&self, waiting: usize) {
        self.waiting.store(waiting as u64, Relaxed);
        self.tell();
    }

    pub(super) fn stream_started(&self) {
        self.started.fetch_add(1, Relaxed);
        self.tell();
    }

    pub(super) fn count_cloud(&self) {
        self.cloud.fetch_add(1, Relaxed);
        self.tell();
    }

    pub(super) fn decoding_started(&self) {
        let now = self.decoding.fetch_add(1, Relaxed) + 1;
        self.max_decoding.fetch_max(now, Relaxed);
        self.tell();
    }

    pub(super) fn decoding_finished(&self) {
        self.decoding.fetch_sub(1, Relaxed);
        self.tell();
    }

    fn tell(&self) {
        if self.changed.receiver_count() > 0 {
            self.changed.send_replace(());
        }
    }
}
