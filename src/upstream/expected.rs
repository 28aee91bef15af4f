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

/// The measurements of a request that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) load: Option<Duration>,
    pub(crate) prompt_eval: Option<Duration>,
    /// The tokens of the prompt that were evaluated.
    pub(crate) prompt_tokens: Option<u64>,
    /// From the request to its first token.
    pub(crate) first_token: Option<Duration>,
    /// From the first token to the last.
    pub(crate) generation: Option<Duration>,
    pub(crate) output_tokens: Option<u64>,
}

/// The measurements of one upstream.
#[derive(Debug, Default)]
pub(super) struct Expected(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    /// Seconds that each model took to load, by canonical name.
    loads: HashMap<String, Mean>,
    /// The last load of each model.
    loading: HashMap<String, Load>,
    /// The time at which a request was last seen to have generated with a model.
    used: HashMap<String, Instant>,
    /// The evaluated prompt tokens per second.
    rate: Mean,
    /// The seconds of its hidden queue.
    hidden: Mean,
    memory: Memory,
}

/// A load.
#[derive(Clone, Copy, Debug)]
struct Load {
    begun: Instant,
    /// The expected end.
    until: Instant,
    /// A request for the model has ended since.
    is_over: bool,
}

impl Load {
    /// Whether it may still run. `load` is the expected time of a load.
    fn runs(self, load: Duration) -> bool {
        !self.is_over && self.begun.elapsed() <= load.max(LEAST_LOADING)
    }
}

impl Expected {
    fn state(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a request for `model` that has ended. `is_unlimited`: the request did not wait in the sidecar.
    pub(super) fn observe(&self, model: &str, told: Observed, is_unlimited: bool) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(load) = told.load.filter(|load| *load >= LEAST_LOAD && state.began_load(model, now, told))
        {
            if state.loads.len() >= MODELS && !state.loads.contains_key(model) {
                state.loads.clear();
            }
            state.loads.entry(model.to_owned()).or_default().observe(load.as_secs_f64());
        }
        if let Some(load) = state.loading.get_mut(model) {
            load.is_over = true;
        }
        if told.generation.is_some() {
            state.uses(model);
        }
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
        if !state.loading.get(model).is_some_and(|last| last.runs(load)) {
            state.loading.insert(model.to_owned(), Load { begun: now, until: now + load, is_over: false });
        }
    }

    /// Notes that a request for the model was answered or has left: its load has ended, or may have. Returns whether one ran.
    pub(super) fn load_ended(&self, model: &str, is_success: bool) -> bool {
        let mut state = self.state();
        if is_success {
            state.uses(model);
        }
        let known = state.load(model);
        let runs = |last: &&mut Load| last.runs(known.unwrap_or(UNKNOWN_LOAD));
        let Some(last) = state.loading.get_mut(model).filter(runs) else { return false };
        last.is_over = true;
        let took = last.begun.elapsed();
        if known.is_none() && is_success && took >= LEAST_LOAD {
            // Until a request that waited for a load reports it.
            state.loads.entry(model.to_owned()).or_default().observe(took.as_secs_f64());
        }
        true
    }

    /// Whether a load of the model has begun and may still run.
    pub(super) fn is_loading(&self, model: &str) -> bool {
        self.state().rest(model).is_some()
    }

    /// Returns the expected rest of the model's load that runs. `None`: none runs.
    pub(super) fn rest(&self, model: &str) -> Option<Duration> {
        self.state().rest(model)
    }

    /// Whether a request is known to have generated with the model after this time; `None`: at any time.
    pub(super) fn has_used(&self, model: &str, since: Option<Instant>) -> bool {
        self.state().used.get(model).is_some_and(|used| since.is_none_or(|since| *used > since))
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
        let load = match state.rest(model) {
            _ if is_loaded => Duration::ZERO,
            Some(rest) => rest,
            None => state.load(model).unwrap_or(UNKNOWN_LOAD),
        };
        let prefill = state.rate.get().map_or(0.0, |rate| PROMPT / rate.max(1e-3));
        let hidden = state.hidden.get().filter(|_| is_busy).unwrap_or(0.0);
        load.saturating_add(Duration::try_from_secs_f64(prefill + hidden).unwrap_or(Duration::MAX))
    }
}

impl Measured {
    fn uses(&mut self, model: &str) {
        let now = Instant::now();
        if let Some(used) = self.used.get_mut(model) {
            *used = now;
            return;
        }
        if self.used.len() >= MODELS {
            self.used.clear();
        }
        self.used.insert(model.to_owned(), now);
    }

    fn rest(&self, model: &str) -> Option<Duration> {
        let load = self.load(model).unwrap_or(UNKNOWN_LOAD);
        let last = self.loading.get(model).filter(|last| last.runs(load))?;
        let left = last.until.saturating_duration_since(Instant::now());
        // A load that takes longer than expected is expected to take as long again.
        Some(if left.is_zero() { last.begun.elapsed() } else { left })
    }

    /// Whether the request that has ended now began the last load. A request that came later reports only the rest of the
    /// load, which it waited for.
    fn began_load(&self, model: &str, now: Instant, told: Observed) -> bool {
        let (Some(last), Some(first), Some(generation)) =
            (self.loading.get(model), told.first_token, told.generation)
        else {
            return true;
        };
        let sent = now.checked_sub(first.saturating_add(generation)).unwrap_or(now);
        sent.saturating_duration_since(last.begun) < LEAST_LOAD
    }

    fn load(&self, model: &str) -> Option<Duration> {
        let known = self.loads.get(model).and_then(|mean| mean.get());
        let longest = || self.loads.values().filter_map(|mean| mean.get()).max_by(f64::total_cmp);
        known.or_else(longest).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
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
            ..Observed::default()
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

    #[tokio::test(start_paused = true)]
    async fn load_of_unknown_length_is_expected_to_take_as_long_again_and_is_measured_at_its_end() {
        let expected = Expected::default();
        expected.load_begins("m");
        assert_eq!(expected.rest("m"), Some(UNKNOWN_LOAD));
        tokio::time::advance(secs(6)).await;
        assert_eq!(expected.rest("m"), Some(secs(6)));
        assert!(expected.load_ended("m", true) && !expected.load_ended("m", true));
        assert_eq!((expected.rest("m"), expected.load("m")), (None, Some(secs(6))));
        // A load that ends with an error or with its client is not measured, and the next request begins another one.
        expected.load_begins("n");
        tokio::time::advance(secs(1)).await;
        assert!(expected.load_ended("n", false));
        assert_eq!(expected.load("n"), Some(secs(6)));
        expected.load_begins("n");
        assert!(expected.is_loading("n"));
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_came_during_a_load_does_not_measure_it() {
        let expected = Expected::default();
        expected.load_begins("m");
        tokio::time::advance(secs(12)).await;
        let told = |load| Observed {
            load: Some(secs(load)),
            first_token: Some(secs(load)),
            generation: Some(secs(2)),
            ..Observed::default()
        };
        expected.observe("m", told(3), false);
        assert_eq!(expected.load("m"), None);
        expected.observe("m", told(10), false);
        assert_eq!(expected.load("m"), Some(secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn model_that_a_request_has_used_is_in_memory_until_a_later_probe() {
        let expected = Expected::default();
        let probed = Some(Instant::now());
        tokio::time::advance(secs(1)).await;
        assert!(!expected.has_used("m", probed));
        expected.load_ended("m", true);
        assert!(expected.has_used("m", probed) && expected.has_used("m", None));
        assert!(!expected.has_used("m", Some(Instant::now())));
    }
}
