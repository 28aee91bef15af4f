//! The running requests. The guards that travel with a body write here, and `/streams` and scrapes read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{
    Outcome, RequestId,
    backlog::HELD_AFTER,
    chunks::{ChunkLog, KeptChunks},
    held::HeldTime,
    request_id::RequestIds,
    silence,
    snapshot::Snapshot,
    timeline::{Moment, Timeline, nanos},
};
use crate::{
    metric::Tally,
    protocol::{FinishReason, Kind, LoadOptions, Route, Usage},
};

/// The model that a request names.
#[derive(Debug)]
pub(super) struct Named {
    /// The canonical name.
    pub(super) key: String,
    /// The client's spelling, without the parts that Ollama fills in.
    pub(super) written: String,
}

/// The chunks that had arrived when the client last held the stream, and whether arrivals are late since then.
#[derive(Debug, Default)]
struct OnTime {
    content: AtomicU64,
    last_content: Moment,
    is_late: AtomicBool,
    stalled: AtomicBool,
}

/// One request from its acceptance to its end. The layers of its body share it.
#[derive(Debug)]
pub struct Live {
    pub(super) id: RequestId,
    pub(super) route: Route,
    pub(super) accepted: Instant,
    pub(super) model: OnceLock<Named>,
    /// The options of the request that determine how the model is loaded.
    pub(super) load: OnceLock<LoadOptions>,
    /// The caller, if the program reported it.
    pub(super) caller: OnceLock<Arc<str>>,
    /// The upstream's spelling of the model, once it is known.
    pub(super) listed: OnceLock<String>,
    upstream: Mutex<Option<Arc<str>>>,
    /// Nanoseconds in the program's own queue.
    queued: AtomicU64,
    pub(super) sent: Moment,
    /// Whether its prompt does not fit into the context, as far as its bytes tell.
    pub(super) overlong: AtomicBool,
    /// The bytes of the request that may be prompt.
    pub(super) prompt_bytes: AtomicU64,
    pub(super) first_record: Moment,
    pub(super) last_record: Moment,
    pub(super) first_content: Moment,
    pub(super) last_content: Moment,
    pub(super) last_arrival: Moment,
    on_time: OnTime,
    pub(super) records: AtomicU64,
    pub(super) content: AtomicU64,
    pub(super) last_gap: AtomicU64,
    /// The gaps at the upstream that are flushed.
    pub(super) gaps: Tally,
    /// The longest of them, as the bits of its seconds, which are in the order of the values.
    pub(super) longest_gap: AtomicU64,
    pub(super) held: HeldTime,
    /// The time at which the client was handed the newest frame.
    handed: Moment,
    /// Whether the client waits for the next frame.
    client_waits: AtomicBool,
    pub(super) terminal: AtomicBool,
    /// Whether the layer above has polled, and no chunk was there.
    pub(super) awaited: AtomicBool,
    metering_failed: AtomicBool,
    /// The status that the client got before there was a response.
    pub(super) early: OnceLock<StatusCode>,
    /// Set when the client breaks off the body of the request.
    broke_off: OnceLock<Outcome>,
    last_kind: AtomicU8,
    /// By [`FinishReason::index`], or `u8::MAX` until a record states it.
    finish: AtomicU8,
    tool_called: AtomicBool,
    /// Whether the response is a stream, as far as is known.
    asks_stream: AtomicBool,
    /// Whether it may offer tools or set a format.
    constrained: AtomicBool,
    usage: Mutex<Option<Usage>>,
    pub(super) chunks: ChunkLog,
}

impl Live {
    fn new(id: RequestId, route: Route, accepted: Instant, gap_bounds: &'static [f64]) -> Live {
        let kind = silence::RequestKind::unread(route);
        Live {
            id,
            route,
            accepted,
            model: OnceLock::new(),
            load: OnceLock::new(),
            caller: OnceLock::new(),
            listed: OnceLock::new(),
            upstream: Mutex::new(None),
            queued: AtomicU64::new(0),
            sent: Moment::default(),
            overlong: AtomicBool::new(false),
            prompt_bytes: AtomicU64::new(0),
            first_record: Moment::default(),
            last_record: Moment::default(),
            first_content: Moment::default(),
            last_content: Moment::default(),
            last_arrival: Moment::default(),
            on_time: OnTime::default(),
            records: AtomicU64::new(0),
            content: AtomicU64::new(0),
            last_gap: AtomicU64::new(0),
            gaps: Tally::new(gap_bounds),
            longest_gap: AtomicU64::new(0),
            held: HeldTime::default(),
            handed: Moment::default(),
            client_waits: AtomicBool::new(true),
            terminal: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            metering_failed: AtomicBool::new(false),
            early: OnceLock::new(),
            broke_off: OnceLock::new(),
            last_kind: AtomicU8::new(u8::MAX),
            finish: AtomicU8::new(u8::MAX),
            tool_called: AtomicBool::new(false),
            asks_stream: kind.streamed.into(),
            constrained: kind.constrained.into(),
            usage: Mutex::new(None),
            chunks: ChunkLog::default(),
        }
    }

    /// Takes the chunks of the response, if [`Measurement::keep_chunks`](super::Measurement::keep_chunks) was called.
    #[must_use]
    pub fn take_chunks(&self) -> Option<KeptChunks> {
        self.chunks.take()
    }

    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Whether [`Meter::responded_early`](super::Meter::responded_early) was called.
    #[must_use]
    pub fn has_responded_early(&self) -> bool {
        self.early.get().is_some()
    }

    /// Adds a time that the request waited in the program's own queue.
    pub fn queue_waited(&self, wait: Duration) {
        self.queued.fetch_add(nanos(wait), Relaxed);
    }

    /// Returns the time in the program's own queue. `None`: the request did not wait there.
    #[must_use]
    pub fn queue_wait(&self) -> Option<Duration> {
        Some(self.queued.load(Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    /// Returns a quantile of the gaps between chunks at the upstream that are flushed.
    pub(super) fn gap(&self, quantile: f64) -> Option<Duration> {
        self.gaps.quantile(quantile).map(Duration::from_secs_f64)
    }

    /// Returns the summed time in which the client did not read data that was there, the present stretch included.
    pub(super) fn client_wait(&self) -> Duration {
        self.held.ended() + self.held_now().unwrap_or_default()
    }

    /// Returns the model in the client's spelling, without the parts that Ollama fills in. `None`: it was not read.
    #[must_use]
    pub fn named_model(&self) -> Option<&str> {
        self.model.get().map(|named| named.written.as_str())
    }

    /// Returns the model as the upstream lists it. `None`: the list is not known.
    #[must_use]
    pub fn listed_model(&self) -> Option<&str> {
        self.listed.get().map(String::as_str)
    }

    /// Returns the times of its records.
    pub(super) fn timeline(&self) -> Timeline {
        Timeline {
            sent: self.sent.get(),
            first_record: self.first_record.get(),
            first_content: self.first_content.get(),
            last_content: self.last_content.get(),
            last_record: self.last_record.get(),
        }
    }

    /// Returns the upstream that was chosen last.
    #[must_use]
    pub fn upstream(&self) -> Option<Arc<str>> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the chosen upstream. Returns false if it is the one that was chosen before.
    pub(super) fn choose(&self, upstream: &str) -> bool {
        let mut chosen = self.upstream.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = chosen.as_deref() != Some(upstream);
        if is_new {
            *chosen = Some(upstream.into());
        }
        is_new
    }

    /// Returns the time since [`Live::request_sent`] was called. `None`: it was not called.
    #[must_use]
    pub fn since_sent(&self) -> Option<Duration> {
        Some(self.accepted.elapsed().saturating_sub(self.sent.get()?))
    }

    /// Notes that the client broke off the body of the request. If the response breaks off too, the client caused it,
    /// and `outcome` is recorded.
    pub fn broke_off(&self, outcome: Outcome) {
        // The first reason is kept.
        let _ = self.broke_off.set(outcome);
    }

    /// Returns the outcome of a response that breaks off.
    pub(super) fn broken(&self) -> Outcome {
        self.broke_off.get().copied().unwrap_or(Outcome::UpstreamError)
    }

    /// Stores the kind of the request, which determines its usual silence.
    pub(super) fn is_of(&self, kind: silence::RequestKind) {
        self.asks_stream.store(kind.streamed, Relaxed);
        self.constrained.store(kind.constrained, Relaxed);
    }

    /// Returns the kind that [`Live::is_of`] stored.
    pub(super) fn silence_kind(&self) -> silence::RequestKind {
        let (streamed, constrained) = (self.asks_stream.load(Relaxed), self.constrained.load(Relaxed));
        silence::RequestKind { route: self.route, streamed, constrained }
    }

    /// Returns how long it has been silent. `None`: the silence does not describe the upstream, because the request
    /// was not sent, has ended, or its client has not taken the newest chunk.
    pub(super) fn silence(&self) -> Option<silence::Silence> {
        let (age, arrival) = (self.accepted.elapsed(), self.last_arrival.get());
        let is_told = self.is_terminal() || (arrival.is_some() && !self.awaited.load(Relaxed));
        let length = age.saturating_sub(arrival.or(self.sent.get()).filter(|_| !is_told)?);
        let prompt_bytes = self.prompt_bytes.load(Relaxed);
        Some(silence::Silence { kind: self.silence_kind(), begun: arrival.is_some(), length, prompt_bytes })
    }

    /// Notes that the upstream connection has taken the last byte of the request's body. A program whose client does
    /// not tell calls it just before it sends the request: a call after the response began would hide the wait.
    pub fn request_sent(&self) {
        self.sent.set(self.accepted.elapsed());
    }

    pub(super) fn kind_seen(&self, kind: Kind) {
        self.last_kind.store(kind.index() as u8, Relaxed);
        if kind == Kind::Terminal {
            self.terminal.store(true, Release);
        }
    }

    /// From here on, chunks are seen later than they arrived.
    pub(super) fn falls_behind(&self) {
        let on_time = &self.on_time;
        if !on_time.is_late.swap(true, Relaxed) && !on_time.stalled.load(Relaxed) {
            on_time.content.store(self.content.load(Relaxed), Relaxed);
            if let Some(last) = self.last_content.get() {
                on_time.last_content.set(last);
            }
        }
    }

    /// From here on, chunks are seen when they arrive.
    pub(super) fn catches_up(&self) {
        self.on_time.is_late.store(false, Relaxed);
    }

    /// Notes that its client may have made Ollama wait. The chunks from here on do not show the model's speed.
    pub(super) fn stalls(&self) {
        self.on_time.stalled.store(true, Relaxed);
    }

    /// Whether the times of its first and last record are those at which Ollama sent them, and nothing held Ollama
    /// up.
    pub(super) fn is_on_time(&self) -> bool {
        !self.on_time.is_late.load(Relaxed) && !self.on_time.stalled.load(Relaxed)
    }

    /// Returns the content records and the time of the last one, up to which [`Live::is_on_time`] holds.
    pub(super) fn content_on_time(&self) -> (u64, Option<Duration>) {
        if self.is_on_time() {
            return (self.content.load(Relaxed), self.last_content.get());
        }
        (self.on_time.content.load(Relaxed), self.on_time.last_content.get())
    }

    /// Counts the present stretch in which the client does not take a chunk that is there.
    pub(super) fn count_held(&self) {
        self.held.count(|| self.held_now());
    }

    /// The client was handed a frame. Until it wants the next one, it has not taken this one.
    pub(super) fn frame_handed(&self, since_accept: Duration) {
        self.handed.set(since_accept);
        self.client_waits.store(false, Relaxed);
    }

    /// The client wants the next frame, which is not there.
    pub(super) fn frame_wanted(&self) {
        self.client_waits.store(true, Relaxed);
    }

    /// Returns how long the client has not taken the newest frame, if it holds the stream now.
    pub(super) fn held_now(&self) -> Option<Duration> {
        if self.client_waits.load(Relaxed) {
            return None;
        }
        let held = self.accepted.elapsed().checked_sub(self.handed.get()?)?;
        (held > HELD_AFTER).then_some(held)
    }

    pub(super) fn unscanned_seen(&self) {
        self.last_kind.store(u8::MAX, Relaxed);
    }

    /// From here on, the records are not read any more.
    pub(super) fn metering_failed(&self) {
        self.metering_failed.store(true, Release);
    }

    /// Whether a missing terminal record can be detected: the stream was read to its end.
    pub(super) fn was_read(&self) -> bool {
        !self.metering_failed.load(Acquire)
    }

    pub(super) fn ended_in_error(&self) -> bool {
        self.last_kind.load(Relaxed) == Kind::Error.index() as u8
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal.load(Acquire)
    }

    pub(super) fn finish_seen(&self, reason: FinishReason) {
        self.finish.store(reason.index() as u8, Relaxed);
    }

    pub(super) fn tool_call_seen(&self) {
        self.tool_called.store(true, Relaxed);
    }

    /// Returns the finish reason that the newest record with one stated. Ollama's own dialect and `/v1/responses`
    /// state the end of an answer that calls tools as that of any other answer.
    pub(super) fn finish(&self) -> Option<FinishReason> {
        let stated = FinishReason::ALL.get(usize::from(self.finish.load(Relaxed))).copied();
        let calls = self.tool_called.load(Relaxed);
        stated.map(
            |reason| if calls && reason == FinishReason::Stop { FinishReason::ToolCalls } else { reason },
        )
    }

    /// Few records of a stream have a usage, so the lock is taken once or twice per stream.
    pub(super) fn usage_seen(&self, usage: &Usage) {
        let mut known = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_default().merge(usage);
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a request in the table until it is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    table: Arc<LiveTable>,
    id: RequestId,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.table.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// All running requests.
#[derive(Debug)]
pub(super) struct LiveTable {
    /// The bounds of the gaps.
    gap_bounds: &'static [f64],
    ids: RequestIds,
    running: Mutex<BTreeMap<RequestId, Arc<Live>>>,
}

impl LiveTable {
    pub(super) fn new(gap_bounds: &'static [f64]) -> LiveTable {
        LiveTable { gap_bounds, ids: RequestIds::default(), running: Mutex::default() }
    }

    pub(super) fn enter(self: &Arc<Self>, route: Route) -> (Arc<Live>, Listed) {
        let id = self.ids.next();
        let live = Arc::new(Live::new(id, route, Instant::now(), self.gap_bounds));
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, live.clone());
        (live, Listed { table: self.clone(), id })
    }

    pub(super) fn running(&self) -> Vec<Arc<Live>> {
        // The lock is held only while the handles are cloned, so a scrape does not delay requests.
        self.running.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn snapshots(&self) -> Vec<Snapshot> {
        self.running().iter().map(|live| live.snapshot()).collect()
    }
}

impl Live {
    pub(super) fn snapshot(&self) -> Snapshot {
        let age = self.accepted.elapsed();
        let gap = self.last_gap.load(Relaxed);
        let held = self.held_now();
        Snapshot {
            id: self.id,
            route: self.route,
            model: self.listed.get().or(self.model.get().map(|named| &named.written)).cloned(),
            upstream: self.upstream().map(|upstream| upstream.to_string()),
            caller: self.caller.get().cloned(),
            age,
            records: self.records.load(Relaxed),
            tokens: self.content.load(Relaxed),
            first_token: self.first_content.get(),
            last_gap: (gap > 0).then(|| Duration::from_nanos(gap)),
            gap_p50: self.gap(0.5),
            gap_p99: self.gap(0.99),
            backpressure: self.client_wait(),
            // The upstream may have sent what the sidecar has no room to read.
            silent: self
                .last_arrival
                .get()
                .filter(|_| held.is_none())
                .map(|arrival| age.saturating_sub(arrival)),
            streamed: self.asks_stream.load(Relaxed),
            prompt_bytes: self.prompt_bytes.load(Relaxed),
            overlong_prompt: self.overlong.load(Relaxed),
            awaited: self.awaited.load(Relaxed),
            decoding: self.first_record.get().is_some() && !self.is_terminal(),
        }
    }
}
