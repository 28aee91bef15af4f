//! A pace that adapts to how well streams run concurrently.
//!
//! Below the target, each step slows down every stream of an upstream. Above the target, each step speeds them up.
//! Slower delivery slows Ollama down only after every buffer between is full: docs/reference/configuration.md
//! describes the effect for each input.
//!
//! The measure is a closure, usually of a [`Meter`](crate::meter::Meter):
//!
//! ```
//! # use bytes::Bytes;
//! # use http_body::Frame;
//! # use http_body_util::{BodyExt, StreamBody};
//! # use prometheus::Registry;
//! use streamgauge_meter::{
//!     meter::{self, Meter},
//!     shaping::{Config, Families, Shaping, Stream, adaptive::{self, Reading}},
//! };
//! # use streamgauge_meter::protocol::{Dialect, Framing, Route};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let records = [
//! #     "{\"response\":\"a\",\"done\":false}\n",
//! #     "{\"response\":\"b\",\"done\":false}\n",
//! #     "{\"response\":\"c\",\"done\":false}\n",
//! #     "{\"done\":true,\"eval_count\":3}\n",
//! # ];
//! # let frames = records.map(|record| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(record))));
//! # let body = StreamBody::new(futures_util::stream::iter(frames));
//! # let stream = Stream {
//! #     route: Route::Generate,
//! #     dialect: Dialect::Ollama,
//! #     framing: Some(Framing::Ndjson),
//! #     caller: "anonymous",
//! #     pace: None,
//! #     upstream: "ollama",
//! #     strip_usage: false,
//! # };
//! let registry = Registry::new();
//! let meter = Meter::register(&registry, &meter::Config::default(), &["ollama"])?;
//! let config = Config { adaptive: Some(adaptive::Config::default()), ..Config::default() };
//! let shaping = Shaping::new(Families::register(&registry)?, config);
//! shaping.adapt("ollama", move || {
//!     let bands = meter.bands("ollama");
//!     Reading {
//!         seconds: bands.seconds,
//!         stream_seconds: bands.stream_seconds,
//!         free_seconds: bands.free_seconds,
//!         tokens: bands.free_tokens,
//!     }
//! });
//! let body = shaping.wrap(&stream, body).collect().await?.to_bytes();
//! assert_eq!(body, records.concat());
//! # Ok(())
//! # }
//! ```

mod baseline;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::metric::{BANDS, ByBand};
use baseline::Baseline;

/// The factor of a step down, if the input is below the target.
const SLOWER: f64 = 0.9;
/// The factor of a step up, if the input is above the target plus the margin.
const FASTER: f64 = 1.05;
const MARGIN: f64 = 0.02;

/// Settings of the adaptive pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// The measure that is compared with the target.
    pub input: Input,
    /// The target, from 0 to 1.
    pub target: f64,
    /// The slowest pace, tokens per second.
    pub floor: f64,
    /// The fastest pace, and the first one.
    pub ceiling: f64,
    /// Time between two steps.
    pub window: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            input: Input::True,
            target: 0.9,
            floor: 10.0,
            ceiling: 120.0,
            window: Duration::from_secs(30),
        }
    }
}

/// The measure that is compared with the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// Tokens per second of a stream while others run, divided by its tokens per second alone. Time in which the
    /// client or the pace held the stream is left out of both.
    #[default]
    True,
    /// Summed stream time, divided by the wall time and by the largest number of streams at once. It measures how
    /// evenly streams overlap, not whether that is faster, so the pace may run to one of its limits.
    Overlap,
}

/// How the streams of an upstream ran since the process started, by the band of the number that decoded: the values
/// of `concurrency_seconds_total` and `concurrency_stream_seconds_total`, and the tokens of streams that nothing
/// held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Wall time.
    pub seconds: ByBand<f64>,
    /// Wall time multiplied by the number of streams.
    pub stream_seconds: ByBand<f64>,
    /// The part of it in which neither the client nor the pace held a stream, so that the stream ran at the model's
    /// speed.
    pub free_seconds: ByBand<f64>,
    /// The content records of that time.
    pub tokens: ByBand<f64>,
}

impl Reading {
    fn since(&self, earlier: &Reading) -> Reading {
        let minus = |one: &ByBand<f64>, other: &ByBand<f64>| std::array::from_fn(|at| one[at] - other[at]);
        Reading {
            seconds: minus(&self.seconds, &earlier.seconds),
            stream_seconds: minus(&self.stream_seconds, &earlier.stream_seconds),
            free_seconds: minus(&self.free_seconds, &earlier.free_seconds),
            tokens: minus(&self.tokens, &earlier.tokens),
        }
    }

    /// Returns the largest number of streams at once, as far as the bands show: the mean within the highest band,
    /// rounded up.
    fn most_streams(&self) -> f64 {
        let highest = (0..BANDS.len()).rev().find(|band| self.seconds[*band] > 0.0);
        highest.map_or(0.0, |band| (self.stream_seconds[band] / self.seconds[band] - 1e-6).ceil())
    }
}

impl Input {
    /// Returns the value of the input over a window, given the tokens per second of a stream alone. `None`: there
    /// were fewer than two streams, or there is nothing to compare with.
    fn value(self, window: &Reading, alone: Option<f64>) -> Option<f64> {
        let most = window.most_streams();
        if most < 2.0 {
            return None;
        }
        match self {
            Input::True => {
                let seconds: f64 = window.free_seconds[1..].iter().sum();
                let tokens: f64 = window.tokens[1..].iter().sum();
                alone.filter(|_| seconds > 0.0).map(|alone| tokens / seconds / alone)
            }
            Input::Overlap => {
                let busy: f64 = window.seconds.iter().sum();
                Some(window.stream_seconds.iter().sum::<f64>() / (busy * most))
            }
        }
    }
}

/// The pace of all streams of one upstream. It changes when a record passes and a window is over; it has no task.
pub(super) struct Adaptive {
    config: Config,
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    /// The bits of an `f64`.
    rate: AtomicU64,
    window: Mutex<Option<Window>>,
}

struct Window {
    until: Instant,
    begun: Reading,
    alone: Baseline,
}

impl Adaptive {
    /// Starts at the ceiling. `read` returns the upstream's reading, and is called once per window.
    #[must_use]
    pub(super) fn new(config: Config, read: Arc<dyn Fn() -> Reading + Send + Sync>) -> Adaptive {
        Adaptive { config, read, rate: AtomicU64::new(config.ceiling.to_bits()), window: Mutex::new(None) }
    }

    /// Returns the present tokens per second of a stream.
    pub(super) fn rate(&self) -> f64 {
        // If another thread holds the lock, that thread makes the step.
        if let Ok(mut window) = self.window.try_lock() {
            self.step(&mut window);
        }
        f64::from_bits(self.rate.load(Relaxed))
    }

    fn step(&self, window: &mut Option<Window>) {
        let now = Instant::now();
        if window.as_ref().is_some_and(|window| now < window.until) {
            return;
        }
        let reading = (self.read)();
        let until = now + self.config.window;
        let Some(window) = window else {
            // The time before has no date. It counts as new, and ages from now on.
            let alone = Baseline::new(now, reading.free_seconds[0], reading.tokens[0]);
            *window = Some(Window { until, begun: reading, alone });
            return;
        };
        let passed = reading.since(&window.begun);
        window.alone.add(now, passed.free_seconds[0], passed.tokens[0]);
        (window.until, window.begun) = (until, reading);
        let Some(value) = self.config.input.value(&passed, window.alone.rate()) else { return };
        let Config { target, floor, ceiling, .. } = self.config;
        let rate = f64::from_bits(self.rate.load(Relaxed));
        let next = if value < target {
            rate * SLOWER
        } else if value > target + MARGIN {
            rate * FASTER
        } else {
            rate
        };
        self.rate.store(next.clamp(floor, ceiling).to_bits(), Relaxed);
    }
}

impl fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stepping = self.window.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let rate = f64::from_bits(self.rate.load(Relaxed));
        f.debug_struct("Adaptive").field("rate", &rate).field("stepping", &stepping).finish()
    }
}
