//! The expected time to the first token at an upstream, from the measured times of its loads, its prefill and its
//! hidden queue.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{health::Loaded, memory::Memory};
use crate::scheduler::Mean;

/// A shorter `load_duration` is the time in which Ollama looks for a model that it has in memory.
const LEAST_LOAD: Duration = Duration::from_millis(500);
/// The assumed load time of a model before any load was measured.
const UNKNOWN_LOAD: Duration = Duration::from_secs(1);
/// A load that has begun counts as running for at least this long, unless a probe shows the model in memory.
const LEAST_LOADING: Duration = Duration::from_secs(10);
/// The tokens of the prompt for which the prefill of upstreams is compared.
const PROMPT: f64 = 1000.0;
/// The number of models that are remembered.
const MODELS: usize = 256;
/// The milliseconds to which patience is rounded up, so that requests with almost the same patience share a group.
const STEP: u128 = 500;

/// The measurements of a request that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) load: Option<Duration>,
    pub(crate) prompt_eval: Option<Duration>,
    /// The tokens of the prompt that were evaluated.
    pub(crate) prompt_tokens: Option<u64>,
    /// From the request to its first token.
    pub(crate) first_token: Option<Duration>,
}

/// The measurements of one upstream.
#[derive(Debug, Default)]
pub(super) struct Expected(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    /// Seconds that each model took to load, by canonical name.
    loads: HashMap<String, Mean>,
    /// The running loads: their begin, and their expected end.
    loading: HashMap<String, (Instant, Instant)>,
    /// The evaluated prompt tokens per second.
    rate: Mean,
    /// The seconds of its hidden queue.
    hidden: Mean,
    memory: Memory,
}

impl Expected {
    fn state(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a request for `model` that has ended. `is_unlimited`: the request did not wait in the sidecar.
    pub(super) fn observe(&self, model: &str, told: Observed, is_unlimited: bool) {
        let mut state = self.state();
        if let Some(load) = told.load.filter(|load| *load >= LEAST_LOAD) {
            if state.loads.len() >= MODELS && !state.loads.contains_key(model) {
                state.loads.clear();
            }
            state.loads.entry(model.to_owned()).or_default().observe(load.as_secs_f64());
        }
        state.loading.remove(model);
        if let (Some(took), Some(tokens)) = (told.prompt_eval, told.prompt_tokens)
            && !took.is_zero()
            && tokens > 0
        {
            state.rate.observe(tokens as f64 / took.as_secs_f64());
        }
        if let Some(first) = told.first_token.filter(|_| is_unlimited) {
            let own = told.load.unwrap_or_default() + told.prompt_eval.unwrap_or_default();
            state.hidden.observe(first.saturating_sub(own).as_secs_f64());
        }
    }

    /// Notes a request for a model that is not in memory: a load begins, unless one runs.
    pub(super) fn load_begins(&self, model: &str) {
        let mut state = self.state();
        let now = Instant::now();
        let load = state.load(model).unwrap_or(UNKNOWN_LOAD);
        if state.loading.len() >= MODELS {
            state.loading.clear();
        }
        let is_stale = |(begun, _): &(Instant, Instant)| now - *begun > load.max(LEAST_LOADING);
        if state.loading.get(model).is_none_or(is_stale) {
            state.loading.insert(model.to_owned(), (now, now + load));
        }
    }

    /// Whether a load of the model has begun and may still run.
    pub(super) fn is_loading(&self, model: &str) -> bool {
        let state = self.state();
        let load = state.load(model).unwrap_or(UNKNOWN_LOAD);
        state.loading.get(model).is_some_and(|(begun, _)| begun.elapsed() <= load.max(LEAST_LOADING))
    }

    /// Returns the measured load time of a model, or else the longest measured load time of any model.
    pub(super) fn load(&self, model: &str) -> Option<Duration> {
        self.state().load(model)
    }

    /// Takes in the models in memory at the last probe and at this one.
    pub(super) fn saw(&self, before: &[Loaded], now: &[Loaded]) {
        self.state().memory.observe(before, now);
    }

    /// Returns the time that the models take to load again that a load of `model` is expected to evict.
    pub(super) fn reload(&self, model: &str, loaded: &[Loaded]) -> Duration {
        let state = self.state();
        let evicted = state.memory.evicted(loaded, model);
        let loads = evicted.iter().filter_map(|model| state.load(model));
        loads.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Returns the expected time from a slot to the first token. `is_loaded`: the model is in memory. `is_busy`: the
    /// upstream has other requests.
    pub(super) fn first_token(&self, model: &str, is_loaded: bool, is_busy: bool) -> Duration {
        let state = self.state();
        let load = match state.loading.get(model) {
            _ if is_loaded => Duration::ZERO,
            Some((_, until)) => until.saturating_duration_since(Instant::now()),
            None => state.load(model).unwrap_or(UNKNOWN_LOAD),
        };
        let prefill = state.rate.get().map_or(0.0, |rate| PROMPT / rate.max(1e-3));
        let hidden = state.hidden.get().filter(|_| is_busy).unwrap_or(0.0);
        load.saturating_add(Duration::try_from_secs_f64(prefill + hidden).unwrap_or(Duration::MAX))
    }
}

impl Measured {
    fn load(&self, model: &str) -> Option<Duration> {
        let known = self.loads.get(model).and_then(|mean| mean.get());
        let longest = || self.loads.values().filter_map(|mean| mean.get()).max_by(f64::total_cmp);
        known.or_else(longest).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

/// Returns the time for which a request waits for an upstream with its model in memory before it accepts a load of this
/// length, reloads of evicted models included. `wait` is the expected wait for such an upstream. `None`: there is no such upstream, or no measurement.
///
/// A request that waits as long as the load takes loses at most as much as it could have won.
pub(super) fn patience(load: Option<Duration>, wait: Option<Duration>) -> Duration {
    let (Some(load), Some(wait)) = (load, wait) else { return Duration::ZERO };
    if load <= wait {
        return Duration::ZERO;
    }
    let steps = load.as_millis().div_ceil(STEP);
    Duration::from_millis(u64::try_from(steps * STEP).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn first_token_is_expected_after_load_prefill_and_queue() {
        let expected = Expected::default();
        assert_eq!(expected.first_token("m", true, true), Duration::ZERO);
        assert_eq!(expected.first_token("m", false, false), UNKNOWN_LOAD);
        let told = Observed {
            load: Some(secs(8)),
            prompt_eval: Some(secs(2)),
            prompt_tokens: Some(1000),
            first_token: Some(secs(13)),
        };
        expected.observe("m", told, true);
        assert_eq!(expected.first_token("m", false, false), secs(10));
        assert_eq!(expected.first_token("m", true, false), secs(2));
        assert_eq!(expected.first_token("m", true, true), secs(5));
        // Another model is expected to load in the same time.
        assert_eq!(expected.load("n"), Some(secs(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn running_load_is_expected_to_take_only_its_remaining_time() {
        let expected = Expected::default();
        expected.observe("m", Observed { load: Some(secs(30)), ..Observed::default() }, false);
        expected.load_begins("m");
        tokio::time::advance(secs(20)).await;
        expected.load_begins("m");
        assert!(expected.is_loading("m"));
        assert_eq!(expected.first_token("m", false, true), secs(10));
        tokio::time::advance(secs(11)).await;
        assert!(!expected.is_loading("m"), "a probe would have told that it is in memory");
        expected.load_begins("m");
        assert!(expected.is_loading("m"));
        expected.observe("m", Observed::default(), false);
        assert!(!expected.is_loading("m"), "its request has ended, so the load has too");
    }

    #[test]
    fn patience_is_the_load_unless_the_wait_is_longer() {
        assert_eq!(patience(Some(secs(10)), Some(secs(3))), secs(10));
        assert_eq!(patience(Some(secs(10)), Some(secs(12))), Duration::ZERO);
        assert_eq!(patience(Some(Duration::from_millis(1_201)), Some(secs(1))), Duration::from_millis(1_500));
        assert_eq!(patience(None, Some(secs(3))), Duration::ZERO);
        assert_eq!(patience(Some(secs(3)), None), Duration::ZERO);
    }
}
