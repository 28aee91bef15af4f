//! A pace that follows how well streams run side by side.
//!
//! Below the target a step slows every stream of an upstream, above it a step lets them go faster. Slowing
//! delivery slows Ollama itself only once every buffer between is full: docs/reference/configuration.md says what that
//! means for either input.

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

use baseline::Baseline;

/// A step down, when the input is below the target.
const SLOWER: f64 = 0.9;
/// A step up, when it is above the target and this margin.
const FASTER: f64 = 1.05;
const MARGIN: f64 = 0.02;
/// Bands of the label `streams`, from one stream alone to crowds.
const BANDS: usize = 8;

/// The law's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// What is held to the target.
    pub input: Input,
    /// Where it should be, 0 to 1.
    pub target: f64,
    /// The slowest pace, tokens a second.
    pub floor: f64,
    /// The fastest, and the one that it starts at.
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

/// What is held to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// Tokens a second of a stream beside others, divided by what one makes alone; both while neither its client nor
    /// its pace holds it.
    #[default]
    True,
    /// Summed stream time by wall time and the most streams at once. It measures how evenly streams overlap,
    /// not whether that is faster, so the pace may run to a bound.
    Overlap,
}

/// How streams of an upstream ran since the process began, by the band of how many decoded: the values of
/// `concurrency_seconds_total` and `concurrency_stream_seconds_total`, and what streams made that nothing held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Wall time.
    pub seconds: [f64; BANDS],
    /// Wall time times the number of streams.
    pub stream_seconds: [f64; BANDS],
    /// Of that, the time in which neither its client nor its pace held a stream: then it runs as the model does.
    pub free_seconds: [f64; BANDS],
    /// The content records of that time.
    pub tokens: [f64; BANDS],
}

impl Reading {
    fn since(&self, earlier: &Reading) -> Reading {
        let minus = |one: &[f64; BANDS], other: &[f64; BANDS]| std::array::from_fn(|at| one[at] - other[at]);
        Reading {
            seconds: minus(&self.seconds, &earlier.seconds),
            stream_seconds: minus(&self.stream_seconds, &earlier.stream_seconds),
            free_seconds: minus(&self.free_seconds, &earlier.free_seconds),
            tokens: minus(&self.tokens, &earlier.tokens),
        }
    }

    /// The most streams at once, as far as bands tell: the mean within the highest one, rounded up.
    fn most_streams(&self) -> f64 {
        let highest = (0..BANDS).rev().find(|band| self.seconds[*band] > 0.0);
        highest.map_or(0.0, |band| (self.stream_seconds[band] / self.seconds[band] - 1e-6).ceil())
    }
}

impl Input {
    /// The input's value over a window, given what a stream makes alone; `None` with fewer than two streams, or
    /// with nothing to compare them with.
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

/// The pace of all streams of one upstream. It steps when a record passes and a window is over, on no task.
pub struct Adaptive {
    config: Config,
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    /// Bits of an `f64`.
    rate: AtomicU64,
    window: Mutex<Option<Window>>,
}

struct Window {
    until: Instant,
    begun: Reading,
    alone: Baseline,
}

impl Adaptive {
    /// At the ceiling. `read` gives the upstream's reading now; it is called once a window.
    #[must_use]
    pub fn new(config: Config, read: Arc<dyn Fn() -> Reading + Send + Sync>) -> Adaptive {
        Adaptive { config, read, rate: AtomicU64::new(config.ceiling.to_bits()), window: Mutex::new(None) }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tokens a second of a stream now.
    pub fn rate(&self) -> f64 {
        // Whoever finds it locked leaves the step to the other.
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
            // What was before has no date: it counts as new, and ages from now on.
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
