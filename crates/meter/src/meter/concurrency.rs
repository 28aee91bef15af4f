//! The number of concurrent streams of an upstream, and its duration.
//!
//! Seconds accrue at every change and at every scrape, so a stream of an hour is visible while it runs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use prometheus::{
    Counter,
    core::{Collector, Desc},
    proto,
};

use super::silence::History;
use crate::metric::{BANDS, ByBand, Family, band};

/// The four families that accrue, and their upstreams.
#[derive(Clone, Debug)]
pub(super) struct ConcurrencyFamilies {
    stream_seconds: Family<Counter, 1>,
    busy_seconds: Family<Counter, 1>,
    seconds: Family<Counter, 2>,
    seconds_by_stream: Family<Counter, 2>,
    upstreams: Arc<Mutex<BTreeMap<String, Arc<Concurrency>>>>,
}

impl ConcurrencyFamilies {
    pub(super) fn new(make: fn() -> Counter) -> prometheus::Result<ConcurrencyFamilies> {
        Ok(ConcurrencyFamilies {
            stream_seconds: Family::new(
                "stream_seconds_total",
                "Summed duration of the requests that take a slot, by upstream, seconds.",
                ["upstream"],
                make,
            )?,
            busy_seconds: Family::new(
                "busy_seconds_total",
                "Wall time with at least one request that takes a slot, by upstream, seconds.",
                ["upstream"],
                make,
            )?,
            seconds: Family::new(
                "concurrency_seconds_total",
                "Wall time in which this number of streams decoded, seconds.",
                ["upstream", "streams"],
                make,
            )?,
            seconds_by_stream: Family::new(
                "concurrency_stream_seconds_total",
                "Wall time in which this number of streams decoded, multiplied by the number, seconds.",
                ["upstream", "streams"],
                make,
            )?,
            upstreams: Arc::default(),
        })
    }

    /// Returns the account of one upstream, which starts at zero.
    pub(super) fn upstream(&self, name: &str) -> Arc<Concurrency> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = upstreams.get(name) {
            return known.clone();
        }
        let account = Arc::new(Concurrency {
            decoding: AtomicUsize::new(0),
            state: Mutex::new(ConcurrencyState { streams: 0, decoding: 0, accrued: Instant::now() }),
            stream_seconds: self.stream_seconds.child([name]),
            busy_seconds: self.busy_seconds.child([name]),
            seconds: BANDS.map(|streams| self.seconds.child([name, streams])),
            seconds_by_stream: BANDS.map(|streams| self.seconds_by_stream.child([name, streams])),
            tokens: Default::default(),
            free_nanos: Default::default(),
            free_tokens: Default::default(),
            history: History::new(Instant::now()),
        });
        upstreams.insert(name.to_owned(), account.clone());
        account
    }
}

impl Collector for ConcurrencyFamilies {
    fn desc(&self) -> Vec<&Desc> {
        [
            self.stream_seconds.desc(),
            self.busy_seconds.desc(),
            self.seconds.desc(),
            self.seconds_by_stream.desc(),
        ]
        .concat()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        for account in self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).values() {
            account.change(|_| ());
        }
        [
            self.stream_seconds.collect(),
            self.busy_seconds.collect(),
            self.seconds.collect(),
            self.seconds_by_stream.collect(),
        ]
        .concat()
    }
}

/// The sums of one upstream by the band of the label `streams`: `concurrency_seconds_total`,
/// `concurrency_stream_seconds_total`, `concurrency_tokens_total` of all models, and the values of the time in which
/// nothing held a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bands {
    /// Wall time.
    pub seconds: ByBand<f64>,
    /// Wall time multiplied by the number of streams.
    pub stream_seconds: ByBand<f64>,
    /// Content records.
    pub tokens: ByBand<f64>,
    /// Summed time between chunks of streams that neither the client nor the pace held.
    pub free_seconds: ByBand<f64>,
    /// The content records of that time.
    pub free_tokens: ByBand<f64>,
}

/// The account of one upstream.
#[derive(Debug)]
pub(super) struct Concurrency {
    /// A copy of the number under the lock, for readers on the path of a chunk.
    decoding: AtomicUsize,
    state: Mutex<ConcurrencyState>,
    stream_seconds: Arc<Counter>,
    busy_seconds: Arc<Counter>,
    seconds: ByBand<Arc<Counter>>,
    seconds_by_stream: ByBand<Arc<Counter>>,
    tokens: ByBand<AtomicU64>,
    free_nanos: ByBand<AtomicU64>,
    free_tokens: ByBand<AtomicU64>,
    /// The silences of the requests that run there.
    pub(super) history: History,
}

#[derive(Debug)]
struct ConcurrencyState {
    streams: usize,
    decoding: usize,
    accrued: Instant,
}

impl Concurrency {
    /// Returns the number of streams that decode.
    pub(super) fn streams(&self) -> usize {
        self.decoding.load(Relaxed)
    }

    /// Returns the present band.
    pub(super) fn band(&self) -> usize {
        band(self.decoding.load(Relaxed))
    }

    /// Counts content records that came while the band lasted.
    pub(super) fn tokens(&self, band: usize, records: u32) {
        self.tokens[band].fetch_add(u64::from(records), Relaxed);
    }

    pub(super) fn bands(&self) -> Bands {
        // Adds the time up to now.
        self.change(|_| ());
        Bands {
            seconds: std::array::from_fn(|band| self.seconds[band].get()),
            stream_seconds: std::array::from_fn(|band| self.seconds_by_stream[band].get()),
            tokens: std::array::from_fn(|band| self.tokens[band].load(Relaxed) as f64),
            free_seconds: std::array::from_fn(|band| self.free_nanos[band].load(Relaxed) as f64 / 1e9),
            free_tokens: std::array::from_fn(|band| self.free_tokens[band].load(Relaxed) as f64),
        }
    }

    /// Counts a stream as running until the guard is dropped.
    pub(super) fn stream(self: &Arc<Self>) -> Running {
        self.change(|state| state.streams += 1);
        Running { account: self.clone(), decodes: false }
    }

    /// Counts a stream as decoding, from its first record until the guard is dropped.
    pub(super) fn decode(self: &Arc<Self>) -> Running {
        self.change(|state| state.decoding += 1);
        Running { account: self.clone(), decodes: true }
    }

    fn change(&self, change: impl FnOnce(&mut ConcurrencyState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let seconds = now.duration_since(state.accrued).as_secs_f64();
        state.accrued = now;
        if state.streams > 0 {
            self.busy_seconds.inc_by(seconds);
            self.stream_seconds.inc_by(seconds * state.streams as f64);
        }
        if state.decoding > 0 {
            let band = band(state.decoding);
            self.seconds[band].inc_by(seconds);
            self.seconds_by_stream[band].inc_by(seconds * state.decoding as f64);
        }
        change(&mut state);
        self.decoding.store(state.decoding, Relaxed);
    }
}

/// The tokens and the time of a stream while nothing held it, in the present band. They are local to the stream until
/// they are flushed.
#[derive(Debug, Default)]
pub(super) struct Free {
    band: usize,
    time: Duration,
    tokens: u64,
}

impl Free {
    /// Adds `tokens` that came `gap` after the content before. They are left out if the band has changed since then.
    pub(super) fn add(&mut self, account: &Concurrency, gap: Duration, tokens: u64) {
        let band = account.band();
        if band == self.band {
            self.time += gap;
            self.tokens += tokens;
        } else {
            self.flush(account);
            self.band = band;
        }
    }

    pub(super) fn flush(&mut self, account: &Concurrency) {
        let (time, tokens) = (std::mem::take(&mut self.time), std::mem::take(&mut self.tokens));
        if tokens > 0 {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            account.free_nanos[self.band].fetch_add(nanos, Relaxed);
            account.free_tokens[self.band].fetch_add(tokens, Relaxed);
        }
    }
}

/// Counts a stream as running or decoding until it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    account: Arc<Concurrency>,
    decodes: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.account.change(|state| {
            if self.decodes {
                state.decoding -= 1;
            } else {
                state.streams -= 1;
            }
        });
    }
}
