//! Counts and durations of a generation, as Ollama reports them. A missing value is not zero.

use std::time::Duration;

/// The counts and durations that the records of a stream reported. Each field is `None` until a record carried it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, the cached ones included.
    pub prompt_tokens: Option<u64>,
    /// The part of `prompt_tokens` that came from a cache.
    pub prompt_cached_tokens: Option<u64>,
    /// Tokens generated.
    pub output_tokens: Option<u64>,
    /// Wall time of the request inside Ollama.
    pub total: Option<Duration>,
    /// Time to load the model.
    pub load: Option<Duration>,
    /// Time to evaluate the uncached part of the prompt.
    pub prompt_eval: Option<Duration>,
    /// Time to generate. Since Ollama 0.30 it is the time from the first token to the last. Before, it leaves out
    /// sampling and the wait for the batch.
    pub eval: Option<Duration>,
    /// Whether an invalid duration, such as a negative one, was reported. Values calculated from all durations would
    /// then be wrong. Ollama 0.12 sends such durations for a single token.
    pub has_invalid_duration: bool,
}

/// No request has more tokens than this.
const MOST: u64 = u32::MAX as u64;

impl Usage {
    /// Replaces each field that `later` has. Fields that `later` lacks stay. A count that no model can have is
    /// treated as missing, because sums of such counts would wrap.
    pub fn merge(&mut self, later: &Usage) {
        let pick =
            |old: &mut Option<u64>, new: Option<u64>| *old = new.filter(|count| *count <= MOST).or(*old);
        pick(&mut self.prompt_tokens, later.prompt_tokens);
        pick(&mut self.prompt_cached_tokens, later.prompt_cached_tokens);
        pick(&mut self.output_tokens, later.output_tokens);
        let pick = |old: &mut Option<Duration>, new: Option<Duration>| *old = new.or(*old);
        pick(&mut self.total, later.total);
        pick(&mut self.load, later.load);
        pick(&mut self.prompt_eval, later.prompt_eval);
        pick(&mut self.eval, later.eval);
        self.has_invalid_duration |= later.has_invalid_duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_token_count_is_treated_as_absent() {
        let mut usage = Usage { output_tokens: Some(3), ..Usage::default() };
        usage.merge(&Usage {
            prompt_tokens: Some(1 << 63),
            output_tokens: Some(u64::MAX),
            prompt_cached_tokens: Some(MOST),
            ..Usage::default()
        });
        let told = (usage.prompt_tokens, usage.output_tokens, usage.prompt_cached_tokens);
        assert_eq!(told, (None, Some(3), Some(MOST)));
    }
}
