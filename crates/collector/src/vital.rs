//! Whether each collector works, and how long a reading takes.
#![expect(clippy::disallowed_types, reason = "collectors on threads are timed too")]

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::Registry;

use super::CollectError;
use streamgauge_meter::metric::{Exposition, Metric, Page};

const UP: Metric = Metric::gauge(
    "streamgauge_collector_up",
    "1 if the last reading of the collector succeeded and is recent, otherwise 0.",
    &["collector"],
);
const SECONDS: Metric = Metric::gauge(
    "streamgauge_collector_seconds",
    "Duration of the collector's last reading, seconds.",
    &["collector"],
);

/// A reading may be this much older than its interval before it counts as late, because a scheduler can be busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of all collectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Vitals(Arc<Mutex<Vec<Vital>>>);

impl Vitals {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Vitals> {
        let vitals = Vitals::default();
        Exposition::register(registry, &[&UP, &SECONDS], vitals.0.clone(), |vitals, page| {
            vitals.iter().for_each(|vital| vital.write(page));
        })?;
        Ok(vitals)
    }

    /// Adds a collector that reads at this interval, and returns its state.
    pub(super) fn enter(&self, name: &'static str, every: Duration) -> Vital {
        let state = State { at: Instant::now(), read: None, took: Duration::ZERO, told_up: true };
        let vital = Vital { name, patience: every * 2 + PATIENCE, state: Arc::new(Mutex::new(state)) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(vital.clone());
        vital
    }
}

/// The state of one collector. It is evaluated after each reading and at each scrape, so a collector that hangs is
/// noticed too. A change is logged once.
#[derive(Clone, Debug)]
pub(super) struct Vital {
    name: &'static str,
    patience: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// When the last reading ended, or when the collector was added.
    at: Instant,
    read: Option<Result<(), CollectError>>,
    took: Duration,
    told_up: bool,
}

impl Vital {
    /// Times a reading and records its result.
    pub(super) fn time(&self, read: impl FnOnce() -> Result<(), CollectError>) {
        let began = Instant::now();
        let result = read();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.at = Instant::now();
        state.took = state.at - began;
        state.read = Some(result);
        self.judge(&mut state);
    }

    fn judge(&self, state: &mut State) -> bool {
        let late = state.at.elapsed() > self.patience;
        let up = !late && matches!(state.read, Some(Ok(())));
        let starting = !late && state.read.is_none();
        if up != state.told_up && !starting {
            state.told_up = up;
            let collector = self.name;
            match &state.read {
                _ if late => {
                    tracing::warn!(collector, "the collector stopped: its reading does not return")
                }
                Some(Err(CollectError::Absent(what))) => tracing::info!(collector, "{what}"),
                Some(Err(error)) => tracing::warn!(collector, %error, "the collector failed"),
                _ => tracing::info!(collector, "the collector recovered"),
            }
        }
        up
    }

    fn write(&self, page: &mut Page) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        page.put(&UP, &[self.name], f64::from(u8::from(self.judge(&mut state))));
        page.put(&SECONDS, &[self.name], state.took.as_secs_f64());
    }
}
