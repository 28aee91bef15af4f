//! The expected time that each upstream takes to generate an answer, from the lengths of a model's answers and from the
//! speed of each upstream.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::expected::Observed;
use crate::scheduler::Mean;

/// The number of models that are remembered.
const MODELS: usize = 256;
/// Upstreams whose speeds differ by less than this factor count as equally fast. The number of concurrent streams alone
/// changes the speed of a stream by that much.
const ALIKE: f64 = 1.5;

/// The measured answers of all upstreams.
#[derive(Debug)]
pub(super) struct Paces {
    upstreams: usize,
    models: Mutex<HashMap<String, Answers>>,
}

/// The answers of one model.
#[derive(Debug)]
struct Answers {
    /// Their tokens.
    tokens: Mean,
    /// The tokens per second of a stream at each upstream.
    speeds: Vec<Mean>,
}

impl Paces {
    pub(super) fn new(upstreams: usize) -> Paces {
        Paces { upstreams, models: Mutex::default() }
    }

    /// Takes in a request for `model` that has ended at this upstream.
    pub(super) fn observe(&self, upstream: usize, model: &str, told: Observed) {
        let (Some(took), Some(tokens)) = (told.generation, told.output_tokens) else { return };
        // Ollama measures from the first token on.
        if took.is_zero() || tokens < 2 {
            return;
        }
        let mut models = self.models();
        if models.len() >= MODELS && !models.contains_key(model) {
            models.clear();
        }
        let speeds = || vec![Mean::default(); self.upstreams];
        let answers = models
            .entry(model.to_owned())
            .or_insert_with(|| Answers { tokens: Mean::default(), speeds: speeds() });
        answers.tokens.observe(tokens as f64);
        answers.speeds[upstream].observe(tokens as f64 / took.as_secs_f64());
    }

    /// Returns by how much longer an answer of the model is expected to take at each upstream than at the fastest one.
    /// An upstream of unknown speed counts as the fastest.
    pub(super) fn lags(&self, model: &str) -> Vec<Duration> {
        let models = self.models();
        let lags = models.get(model).and_then(|answers| {
            let speeds: Vec<_> = (0..self.upstreams).map(|at| speed(&models, answers, at)).collect();
            let fastest = speeds.iter().flatten().copied().max_by(f64::total_cmp)?;
            let tokens = answers.tokens.get()?;
            let lag = |speed: f64| {
                let lag = if fastest < ALIKE * speed { 0.0 } else { tokens / speed - tokens / fastest };
                Duration::try_from_secs_f64(lag).unwrap_or(Duration::MAX)
            };
            Some(speeds.iter().map(|speed| speed.map_or(Duration::ZERO, lag)).collect())
        });
        lags.unwrap_or_else(|| vec![Duration::ZERO; self.upstreams])
    }

    fn models(&self) -> MutexGuard<'_, HashMap<String, Answers>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the speed of an upstream. If it has not generated with the model yet, the speed follows from that of another
/// upstream and from a second model that both have generated with.
fn speed(models: &HashMap<String, Answers>, answers: &Answers, upstream: usize) -> Option<f64> {
    let measured = answers.speeds[upstream].get();
    measured.or_else(|| {
        let others = answers.speeds.iter().enumerate();
        let guesses = others.filter_map(|(other, speed)| {
            let speed = speed.get()?;
            let ratio = models
                .values()
                .find_map(|second| Some(second.speeds[upstream].get()? / second.speeds[other].get()?))?;
            Some(speed * ratio)
        });
        guesses.max_by(f64::total_cmp)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tokens: u64, seconds: u64) -> Observed {
        Observed {
            generation: Some(Duration::from_secs(seconds)),
            output_tokens: Some(tokens),
            ..Observed::default()
        }
    }

    fn seconds(lags: &[Duration]) -> Vec<f64> {
        lags.iter().map(Duration::as_secs_f64).collect()
    }

    #[test]
    fn slow_upstream_lags_by_the_length_of_an_answer() {
        let paces = Paces::new(3);
        assert_eq!(seconds(&paces.lags("m")), [0.0; 3]);
        paces.observe(0, "m", told(100, 1));
        assert_eq!(seconds(&paces.lags("m")), [0.0; 3], "nothing is known about the others");
        paces.observe(1, "m", told(100, 5));
        assert_eq!(seconds(&paces.lags("m")), [0.0, 4.0, 0.0]);
    }

    #[test]
    fn speed_with_another_model_tells_the_speed_of_an_upstream_that_is_new_to_a_model() {
        let paces = Paces::new(2);
        paces.observe(0, "m", told(100, 1));
        paces.observe(0, "n", told(100, 2));
        paces.observe(1, "n", told(100, 8));
        assert_eq!(seconds(&paces.lags("m")), [0.0, 3.0]);
    }

    #[test]
    fn speeds_that_differ_as_the_number_of_streams_does_count_as_equal() {
        let paces = Paces::new(2);
        paces.observe(0, "m", told(100, 10));
        paces.observe(1, "m", told(100, 14));
        paces.observe(1, "m", told(1, 14));
        paces.observe(1, "m", told(100, 0));
        assert_eq!(seconds(&paces.lags("m")), [0.0, 0.0]);
    }
}
