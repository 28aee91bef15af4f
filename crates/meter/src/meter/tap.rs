//! The body around the upstream's body, which timestamps the arrivals.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use prometheus::IntCounter;

use super::{
    backlog::{Arrival, Backlog},
    chunks::KeptChunk,
    concurrency::{Concurrency, Free, Running},
    families::{StreamChildren, UnscannedCounters},
    live::Live,
    schedule::Schedule,
    silence::Longest,
};
use crate::{
    metric::{ByBand, Histogram, LocalHistogram},
    protocol::{Kind, Record, Scan, Scanner, Unscanned},
};

/// The maximum by which Ollama's clock may run ahead of ours between two records.
const AHEAD: Duration = Duration::from_secs(10);
/// The scan of one chunk in this many is timed.
const TIME_SCAN_EVERY: u32 = 16;

pin_project! {
    /// A body whose arrivals are measured. Bytes pass unchanged.
    #[derive(Debug)]
    pub struct Tap<B> {
        #[pin]
        inner: B,
        tapping: Option<Box<Tapping>>,
        handed: bool,
    }
}

impl<B> Tap<B> {
    pub(super) fn new(inner: B, tapping: Option<Box<Tapping>>) -> Tap<B> {
        Tap { inner, tapping, handed: false }
    }

    /// Fails at the first chunk.
    #[cfg(test)]
    pub(super) fn panicking(mut self) -> Tap<B> {
        if let Some(tapping) = &mut self.tapping {
            tapping.panics = true;
        }
        self
    }
}

impl<B: Body<Data = Bytes>> Body for Tap<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let mut inner = this.inner;
        // `handed` is valid only if the chunk was already there: the time since then is one in which the sidecar did
        // not look.
        let handed = std::mem::take(this.handed);
        let polled = inner.as_mut().poll_frame(cx);
        if let Some(tapping) = this.tapping.as_ref() {
            tapping.live.awaited.store(polled.is_pending(), Relaxed);
        }
        let polled = ready!(polled);
        if this.tapping.is_some() {
            let data = match &polled {
                Some(Ok(frame)) => frame.data_ref().filter(|data| !data.is_empty()),
                _ => None,
            };
            let ended = !matches!(polled, Some(Ok(_))) || inner.is_end_stream();
            observe(this.tapping, |tapping| {
                if let Some(data) = data {
                    tapping.arrived(data, handed);
                }
                if ended {
                    tapping.ended();
                }
            });
        }
        *this.handed = true;
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Metering must never harm a stream. If it panics, it gives up and a counter reports it, and the stream continues.
fn observe(tapping: &mut Option<Box<Tapping>>, work: impl FnOnce(&mut Tapping)) {
    let Some(active) = tapping else { return };
    if catch_unwind(AssertUnwindSafe(|| work(active))).is_err() {
        active.unscanned.failed.inc();
        active.live.metering_failed();
        *tapping = None;
    }
}

/// The parts of a tap.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) live: Arc<Live>,
    /// The response is a stream, and its gaps count.
    pub(super) streamed: bool,
    pub(super) scanner: Scanner,
    pub(super) children: Arc<StreamChildren>,
    /// The streams at the upstream; `None` if the response counts at none.
    pub(super) upstream: Option<Arc<Concurrency>>,
    pub(super) unscanned: UnscannedCounters,
    pub(super) scan_seconds: Arc<Histogram>,
}

/// The counts of one stream.
#[derive(Debug)]
pub(super) struct Tapping {
    live: Arc<Live>,
    children: Arc<StreamChildren>,
    /// The account, for a stream.
    account: Option<Arc<Concurrency>>,
    /// The account, for any response.
    upstream: Option<Arc<Concurrency>>,
    longest: Longest,
    decoding: Option<Running>,
    /// `None` only while it scans.
    scanner: Option<Scanner>,
    streamed: bool,
    chunks: u32,
    schedule: Schedule,
    /// The arrival time of the newest content, if it is known.
    last_content: Option<Instant>,
    last_arrival: Option<Instant>,
    backlog: Backlog,
    free: Free,
    origin: Option<i64>,
    gap: LocalHistogram,
    origin_gap: LocalHistogram,
    bytes: LocalHistogram,
    /// By [`Kind::index`].
    kinds: [u32; Kind::ALL.len()],
    content_by_band: ByBand<u32>,
    unscanned: UnscannedCounters,
    scan_seconds: Arc<Histogram>,
    #[cfg(test)]
    panics: bool,
}

/// The contents of one chunk.
#[derive(Default)]
struct Chunk {
    records: u64,
    content: u64,
}

impl Tapping {
    pub(super) fn new(parts: Parts) -> Tapping {
        let Parts { live, streamed, scanner, children, upstream, unscanned, scan_seconds } = parts;
        Tapping {
            account: upstream.clone().filter(|_| streamed),
            upstream,
            longest: Longest::default(),
            decoding: None,
            scanner: Some(scanner),
            streamed,
            chunks: 0,
            schedule: Schedule::new(live.accepted),
            live,
            last_content: None,
            last_arrival: None,
            backlog: Backlog::default(),
            free: Free::default(),
            origin: None,
            gap: LocalHistogram::new(children.gap_upstream.clone()),
            origin_gap: LocalHistogram::new(children.gap_origin.clone()),
            bytes: LocalHistogram::new(children.chunk_bytes.clone()),
            kinds: Default::default(),
            content_by_band: ByBand::default(),
            unscanned,
            scan_seconds,
            children,
            #[cfg(test)]
            panics: false,
        }
    }

    /// `ready`: it was already there when the sidecar looked.
    fn arrived(&mut self, data: &Bytes, ready: bool) {
        #[cfg(test)]
        assert!(!self.panics, "a test wants it");
        let now = Instant::now();
        let since_accept = now.saturating_duration_since(self.live.accepted);
        let wait = self.last_arrival.map(|last| now.saturating_duration_since(last));
        let arrival = self.backlog.arrived(ready, wait, data.len());
        if arrival.is_on_time() {
            self.longest.chunk(wait, since_accept.saturating_sub(self.live.sent.get().unwrap_or_default()));
        }
        // The arrival is noted before the scan, because the records of a late chunk are late too.
        self.note(arrival);
        self.live.last_arrival.set(since_accept);
        self.bytes.observe(data.len() as f64);

        let is_kept = self.live.chunks.is_on();
        let streams = if is_kept { self.streams() } else { 0 };
        let chunk = self.scan(|scanner, tell| scanner.scan(data, tell), since_accept);
        if is_kept {
            self.keep(since_accept, data.len(), &chunk, streams);
        }
        if self.chunks.is_multiple_of(TIME_SCAN_EVERY) && chunk.records > 0 {
            self.scan_seconds.observe(now.elapsed().as_secs_f64() / chunk.records as f64);
        }
        if chunk.content > 0 && self.streamed {
            self.content_came(now, arrival, chunk.content);
        }
        self.last_arrival = Some(now);
        self.chunks = self.chunks.wrapping_add(1);
        if self.schedule.is_due(now) {
            self.flush();
        }
    }

    /// Keeps a chunk. `streams` decoded before it, without this stream if the chunk is its first.
    #[cold]
    fn keep(&self, at: Duration, bytes: usize, chunk: &Chunk, streams: u32) {
        let whole = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let (bytes, records) = (whole(bytes as u64), whole(chunk.records));
        // The stream no longer decodes after its last record.
        self.live.chunks.push(KeptChunk { at, bytes, records, streams: self.streams().max(streams) });
    }

    /// Returns the number of streams that decode at the upstream.
    fn streams(&self) -> u32 {
        self.account.as_ref().map_or(0, |account| u32::try_from(account.streams()).unwrap_or(u32::MAX))
    }

    fn note(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Awaited => {}
            Arrival::CaughtUp => self.live.catches_up(),
            Arrival::Held | Arrival::Behind => {
                self.live.falls_behind();
                if self.backlog.stalls() {
                    self.live.stalls();
                }
            }
        }
    }

    /// Notes a chunk with content, and its gap, if both arrival times are known.
    fn content_came(&mut self, now: Instant, arrival: Arrival, records: u64) {
        let is_on_time = arrival.is_on_time();
        let last = std::mem::replace(&mut self.last_content, is_on_time.then_some(now));
        if let Some(last) = last.filter(|_| is_on_time) {
            let gap = now.saturating_duration_since(last);
            self.gap.observe(gap.as_secs_f64());
            self.live.last_gap.store(u64::try_from(gap.as_nanos()).unwrap_or(u64::MAX), Relaxed);
            if let Some(account) = &self.account {
                self.free.add(account, gap, records);
            }
        } else if arrival != Arrival::Awaited {
            self.children.gaps_held.inc();
        }
    }

    /// Ends the body. A record without a terminator is complete.
    fn ended(&mut self) {
        let since_accept = self.live.accepted.elapsed();
        self.scan(|scanner, tell| scanner.finish(tell), since_accept);
        self.decoding = None;
        self.flush();
    }

    fn scan(&mut self, step: impl FnOnce(&mut Scanner, &mut dyn FnMut(Scan)), at: Duration) -> Chunk {
        let mut chunk = Chunk::default();
        // The scanner is taken out, so that its records can be passed to the other fields. It holds a buffer, which
        // is not copied.
        let Some(mut scanner) = self.scanner.take() else { return chunk };
        step(&mut scanner, &mut |scan| match scan {
            Scan::Record(record) => self.record(&record, at, &mut chunk),
            Scan::Unscanned(reason) => {
                let counter = match reason {
                    Unscanned::TooLong => &self.unscanned.too_long,
                    Unscanned::Malformed => &self.unscanned.malformed,
                    Unscanned::Coding => {
                        self.live.metering_failed();
                        &self.unscanned.coding
                    }
                };
                counter.inc();
                self.live.unscanned_seen();
            }
        });
        self.scanner = Some(scanner);
        if chunk.records > 0 {
            self.live.records.fetch_add(chunk.records, Relaxed);
            self.live.content.fetch_add(chunk.content, Relaxed);
        }
        chunk
    }

    fn record(&mut self, record: &Record, at: Duration, chunk: &mut Chunk) {
        chunk.records += 1;
        self.kinds[record.kind.index()] += 1;
        if record.has_tool_call {
            self.live.tool_call_seen();
            if record.kind == Kind::Terminal {
                self.kinds[Kind::ToolCall.index()] += 1;
            }
        }
        if let Some(reason) = record.finish {
            self.live.finish_seen(reason);
        }
        self.live.kind_seen(record.kind);
        if let Some(usage) = &record.usage {
            self.live.usage_seen(usage);
        }
        if self.streamed {
            if self.live.first_record.get().is_none() {
                self.live.first_record.set(at);
                self.decoding = self.account.as_ref().map(Concurrency::decode);
            }
            self.live.last_record.set(at);
        }
        if record.has_content {
            chunk.content += 1;
            self.content(record, at);
        }
        if record.kind == Kind::Terminal {
            self.decoding = None;
        }
    }

    fn content(&mut self, record: &Record, at: Duration) {
        if !self.streamed {
            return;
        }
        if self.live.first_content.get().is_none() {
            self.live.first_content.set_once(at);
            self.children.first_token.observe(at.as_secs_f64());
        }
        self.live.last_content.set(at);
        if let Some(account) = &self.account {
            self.content_by_band[account.band()] += 1;
        }
        if let Some(created_at) = record.created_at {
            if let Some(earlier) = self.origin {
                match origin_gap(earlier, created_at, at) {
                    Some(gap) => self.origin_gap.observe(gap.as_secs_f64()),
                    None => self.children.origin_invalid.inc(),
                }
            }
            self.origin = Some(created_at);
        }
    }

    fn flush(&mut self) {
        if let Some(work) =
            self.children.work.as_ref().filter(|_| self.kinds.iter().any(|records| *records > 0))
        {
            work.loads.answered(Instant::now());
        }
        self.gap.flush_to(&self.live.gaps);
        self.live.longest_gap.store(self.gap.highest().to_bits(), Relaxed);
        self.origin_gap.flush();
        self.bytes.flush();
        for (local, shared) in self.kinds.iter_mut().zip(&self.children.records) {
            flush_count(local, shared);
        }
        let tokens = self.children.work.iter().flat_map(|work| &work.concurrency_tokens);
        for (band, (local, shared)) in self.content_by_band.iter_mut().zip(tokens).enumerate() {
            if let Some(account) = &self.account {
                account.tokens(band, *local);
            }
            flush_count(local, shared);
        }
        if let Some(account) = &self.account {
            self.free.flush(account);
        }
    }
}

/// Returns the time between two values of `created_at`, both in nanoseconds since 1970. `None`: Ollama's clock was
/// set in between, because the gap is negative, or longer than the age of the request by more than the limit.
fn origin_gap(earlier: i64, later: i64, age: Duration) -> Option<Duration> {
    let gap = Duration::from_nanos(u64::try_from(later.checked_sub(earlier)?).ok()?);
    (gap <= age + AHEAD).then_some(gap)
}

fn flush_count(local: &mut u32, shared: &IntCounter) {
    if *local != 0 {
        shared.inc_by(u64::from(std::mem::take(local)));
    }
}

impl Drop for Tapping {
    fn drop(&mut self) {
        self.flush();
        if let (Some(upstream), Some(last)) = (&self.upstream, self.last_arrival) {
            upstream.history.heard(last);
            if !self.live.ended_in_error() {
                self.longest.tell(self.live.silence_kind(), &upstream.history);
            }
        }
    }
}
