//! Whether each collector works, and how long it takes.
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
    "1 while the collector reads, in time, else 0.",
    &["collector"],
);
const SECONDS: Metric = Metric::gauge(
    "streamgauge_collector_seconds",
    "How long its last reading took, seconds.",
    &["collector"],
);

/// A reading that is this much older than its interval is late, whatever the interval: a scheduler may be busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// The vital signs of all collectors.
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

    /// The sign of a collector that reads this often.
    pub(super) fn enter(&self, name: &'static str, every: Duration) -> Vital {
        let state = State { at: Instant::now(), read: None, took: Duration::ZERO, told_up: true };
        let vital = Vital { name, patience: every * 2 + PATIENCE, state: Arc::new(Mutex::new(state)) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(vital.clone());
        vital
    }
}

/// The vital sign of one collector. Judged after each reading and at each scrape, so that one that hangs is
/// noticed too; a change is logged once.
#[derive(Clone, Debug)]
pub(super) struct Vital {
    name: &'static str,
    patience: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// When the last reading ended, or the collector was entered.
    at: Instant,
    read: Option<Result<(), CollectError>>,
    took: Duration,
    told_up: bool,
}

impl Vital {
    /// Times a reading and keeps how it went.
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
                    tracing::warn!(collector, "a collector has stopped: its reading does not return")
                }
                Some(Err(CollectError::Absent(what))) => tracing::info!(collector, "{what}"),
                Some(Err(error)) => tracing::warn!(collector, %error, "a collector cannot read"),
                _ => tracing::info!(collector, "the collector reads again"),
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
