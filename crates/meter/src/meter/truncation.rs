//! Suspects that Ollama cut a prompt to make it fit into the context.
//!
//! Ollama says nothing when it cuts a prompt. The tokens that it reports are those of the rest: the whole context
//! (0.12), the context less half of what `num_keep` leaves (since 0.30), or the messages that fit. A cut shows as a
//! request with more bytes per token than the text of any request that was not cut.

use std::sync::{Mutex, PoisonError};

/// The bytes per token that most texts do not exceed. With the tokens of Gemma 3, technical English has 3.7 on
/// average, code 3.5, Chinese and Japanese 5.0, numbers 1.1.
const DENSE: f64 = 4.5;
/// Bytes per token of a request that does not describe text: most of its bytes are no prompt.
const IMPLAUSIBLE: f64 = 32.0;
/// The densest text so far is forgotten by this factor with each request.
const KEPT: f64 = 0.999;
/// A shorter prompt consists mostly of its template and of JSON.
const LEAST_TOKENS: u64 = 32;
/// A request with fewer bytes than this part of the context has tokens was not cut, whatever its text is: a token has at
/// least one byte. A bound by the estimate would be wrong, because it grows with what was learned: a missed cut would
/// then teach its own density, and each one would make more cuts be missed.
const SAFE: f64 = 0.9;
/// The estimate of a prompt that filled a small context by a cut, divided by the context, at least. Of the prompts that
/// fit, one of some hundreds has exactly the length of such a context.
const FULL: f64 = 1.0;
/// A prompt whose count is half of a small context was cut if its bytes, divided by the tokens of the context, are at
/// least this: 6.2 bytes per counted token, more than most texts have.
const HALF: f64 = 3.1;
/// The same if nothing but the estimate speaks for a cut.
const OVER: f64 = 1.15;
/// The estimate of a cut prompt divided by the tokens that remained, at least, if nothing else speaks for a cut.
const LOST: f64 = 1.6;
/// The tokens that Ollama keeps at the beginning: its own `num_keep`, with or without a begin token.
const KEPT_TOKENS: [u64; 2] = [4, 5];
/// In a context of this length, a prompt that was not cut rarely has the exact count that a cut leaves.
const LARGE: u64 = 2048;
/// The bytes of a prompt that was cut to such a context, divided by the context, at least. Half of the context is left
/// of it, so these are 4.8 bytes per token.
const BYTES: f64 = 2.4;

/// The densest text of a model's requests.
#[derive(Debug, Default)]
pub(super) struct Truncation(Mutex<f64>);

impl Truncation {
    /// Whether a request with this many bytes of prompt, whose response reports these tokens, was probably cut to a
    /// context of this length. It learns from requests that were not.
    pub(super) fn is_suspected(&self, bytes: u64, tokens: u64, context: u64) -> bool {
        if bytes == 0 || tokens < LEAST_TOKENS {
            return false;
        }
        let mut densest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let estimate = bytes as f64 / densest.max(DENSE);
        let (tokens_here, whole) = (tokens as f64, context as f64);
        // With more tokens than fit, the context is not the one that the request had.
        let fits = tokens <= context + 1;
        let is_dense = bytes as f64 >= BYTES * whole;
        let is_left = (tokens == context && (estimate >= FULL * whole || (context >= LARGE && is_dense)))
            || (is_half(tokens, context) && (bytes as f64 >= HALF * whole || (context >= LARGE && is_dense)));
        let is_over = estimate >= OVER * whole && estimate >= LOST * tokens_here;
        let is_suspected = fits && (is_left || is_over);
        let density = bytes as f64 / tokens_here;
        if !is_suspected && (bytes as f64) < SAFE * whole && density < IMPLAUSIBLE {
            *densest = (*densest * KEPT).max(density);
        }
        is_suspected
    }

    /// Whether this many bytes of prompt do not fit into the context, by the densest text so far.
    pub(super) fn overflows(&self, bytes: u64, context: u64) -> bool {
        let densest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes as f64 / densest.max(DENSE) >= OVER * context as f64
    }
}

/// Whether these tokens are what Ollama keeps at the beginning and half of the rest of the context.
fn is_half(tokens: u64, context: u64) -> bool {
    let leaves = |kept: u64| context.checked_sub(kept).is_some_and(|rest| context - rest / 2 == tokens);
    KEPT_TOKENS.into_iter().any(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_that_fits_is_not_suspected() {
        let truncation = Truncation::default();
        for (bytes, tokens) in [(400, 100), (2_000, 500), (600, 500), (2_200, 511), (1_150, 259)] {
            assert!(!truncation.is_suspected(bytes, tokens, 512), "{bytes} bytes, {tokens} tokens");
        }
        assert!(!truncation.is_suspected(0, 0, 512));
        assert!(!truncation.is_suspected(1_000_000, 4, 512), "a prompt that was nearly all in no message");
        assert!(!truncation.is_suspected(9_000, 2_000, 512), "the context is not the one of the request");
    }

    #[test]
    fn cut_prompt_is_suspected() {
        let truncation = Truncation::default();
        // A prompt of 2,330 tokens: 0.12.11 leaves 512, and 0.33.0 leaves 259.
        for tokens in [512, 259] {
            assert!(truncation.is_suspected(9_800, tokens, 512), "{tokens} tokens");
        }
        assert!(truncation.is_suspected(9_800, 300, 512), "messages were left out");
        assert!(truncation.is_suspected(642_756, 16_384, 16_384), "160,689 tokens were sent");
        // Code that is longer than a large context by a tenth.
        assert!(
            truncation.is_suspected(15_700, 4_096, 4_096) && truncation.is_suspected(15_700, 2_051, 4_096)
        );
        assert!(!truncation.is_suspected(7_600, 2_051, 4_096), "half a context of code");
    }

    #[test]
    fn dense_text_is_learned_from_prompts_that_cannot_have_been_cut() {
        let truncation = Truncation::default();
        // Runs of spaces.
        assert!(truncation.is_suspected(76_800, 3_200, 4_096));
        assert!(!truncation.is_suspected(2_400, 100, 4_096));
        assert!(!truncation.is_suspected(76_800, 3_200, 4_096));
        assert!(truncation.overflows(320_000, 4_096) && !truncation.overflows(76_800, 4_096));
    }

    #[test]
    fn missed_cut_does_not_make_further_ones_be_missed() {
        let truncation = Truncation::default();
        // A dense prompt that fits, and then cut ones, each somewhat longer than the one before.
        for (bytes, tokens) in
            [(1_550, 256), (2_150, 259), (2_900, 259), (4_000, 259), (5_500, 259), (7_600, 259)]
        {
            truncation.is_suspected(bytes, tokens, 512);
        }
        assert!(truncation.is_suspected(9_800, 259, 512));
        // Chats from which Ollama left messages out.
        for (bytes, tokens) in [(1_600, 250), (2_200, 260), (3_000, 270), (4_200, 265)] {
            truncation.is_suspected(bytes, tokens, 512);
        }
        assert!(truncation.is_suspected(6_000, 280, 512));
    }

    #[test]
    fn prompt_that_fills_a_small_context_is_suspected_if_its_text_would_be_unusually_dense() {
        let truncation = Truncation::default();
        assert!(!truncation.is_suspected(2_100, 512, 512), "4.1 bytes per token");
        assert!(truncation.is_suspected(2_400, 512, 512), "4.7 bytes per token");
    }
}
