//! The contents of an answer, and the values of its last record.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::super::{
    decode::Decode,
    script::{Part, Script},
    seed::Seed,
    version::{ChatPath, OllamaVersion},
};

/// The letters of the ids of tool calls. Ollama's own ids use the first 36.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The contents of an answer, and the values of its last record. Durations are real.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) version: OllamaVersion,
    pub(crate) path: ChatPath,
    pub(crate) script: Script,
    /// Whether the model runs twice, to think and to answer. Before 0.34 the last record reports the second run only.
    pub(crate) restarts: bool,
    /// The seed for the ids of its tool calls.
    pub(crate) seed: Seed,
    /// The tokens of the prompt as `/v1/messages` estimates them before they are counted.
    pub(crate) estimate: u32,
    pub(crate) prompt_tokens: u32,
    /// How many tokens of the prompt were in a slot's cache.
    pub(crate) cached_tokens: u32,
    pub(crate) asked: Instant,
    /// The time until the model was loaded.
    pub(crate) load: Duration,
    pub(crate) prompt_eval: Duration,
    pub(crate) eval_nanos: i64,
    pub(crate) total: Duration,
}

/// A complete tool call.
pub(crate) struct Call<'a> {
    pub(crate) id: String,
    pub(crate) index: usize,
    pub(crate) name: &'a str,
    /// The arguments, as a JSON object.
    pub(crate) arguments: &'static str,
}

impl Ending {
    /// Notes that the answer ends now.
    pub(crate) fn finish(&mut self, decode: &Decode) {
        self.total = self.asked.elapsed();
        self.eval_nanos = decode.eval_nanos();
    }

    /// Returns some of the tool calls.
    pub(crate) fn calls(&self, calls: Range<usize>) -> impl Iterator<Item = Call<'_>> {
        self.script.calls().iter().enumerate().filter(move |(index, _)| calls.contains(index)).map(
            |(index, name)| Call { id: self.call_id(index), index, name, arguments: self.script.arguments() },
        )
    }

    /// Returns the tool calls that only the last record reports.
    pub(crate) fn last_calls(&self) -> Range<usize> {
        match self.path {
            ChatPath::Native => 0..self.script.calls().len(),
            ChatPath::GoTemplate => 0..0,
        }
    }

    /// Returns all tool calls.
    pub(crate) fn all_calls(&self) -> Range<usize> {
        0..self.script.calls().len()
    }

    /// Returns a call that was cut by the limit. Ollama's parser passes on as text what it had held back.
    pub(crate) fn cut_call(&self) -> String {
        match self.path {
            ChatPath::GoTemplate => self.script.cut_call().unwrap_or_default(),
            ChatPath::Native => String::new(),
        }
    }

    /// Returns the whole content.
    pub(crate) fn content(&self) -> String {
        self.script.text(Part::Content) + &self.cut_call()
    }

    /// Returns the tokens of the prompt that were not cached and those that were, if the version reports both.
    pub(crate) fn split_prompt(&self) -> (u32, Option<u32>) {
        match self.version.tells_cached() {
            true => (self.prompt_tokens - self.cached_tokens, Some(self.cached_tokens)),
            false => (self.prompt_tokens, None),
        }
    }

    pub(crate) fn call_id(&self, call: usize) -> String {
        let seed = self.seed.child(call as u64);
        let draw = |letters: &[u8], length: u64| -> String {
            (0..length)
                .map(|place| letters[(seed.at(place) % letters.len() as u64) as usize] as char)
                .collect()
        };
        match self.path {
            ChatPath::GoTemplate => format!("call_{}", draw(&LETTERS[..36], 8)),
            ChatPath::Native => draw(LETTERS, 32),
        }
    }

    /// Returns the first token that the last record counts.
    pub(crate) fn counted_from(&self) -> u32 {
        if self.restarts && !self.version.tells_cached() { self.script.thinking() } else { 0 }
    }

    /// Returns `eval_count`. The first of two runs also generates the end of its thinking and the first token of an
    /// answer.
    pub(crate) fn eval_count(&self) -> u32 {
        let extra = if self.restarts && self.version.tells_cached() { 2 } else { 0 };
        self.script.tokens() - self.counted_from() + extra
    }

    pub(crate) fn total_tokens(&self) -> u32 {
        self.prompt_tokens + self.eval_count()
    }

    /// Returns counts and durations as `/api` writes them. A zero is left out, except for the cached tokens.
    pub(crate) fn metrics(&self) -> String {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let (_, cached) = self.split_prompt();
        [
            ("total_duration", Some(nanos(self.total)).filter(|value| *value != 0)),
            ("load_duration", Some(nanos(self.load)).filter(|value| *value != 0)),
            ("prompt_eval_count", Some(self.prompt_tokens.into()).filter(|value| *value != 0)),
            ("prompt_eval_cached_count", cached.map(Into::into)),
            ("prompt_eval_duration", Some(nanos(self.prompt_eval)).filter(|value| *value != 0)),
            ("eval_count", Some(self.eval_count().into()).filter(|value| *value != 0)),
            ("eval_duration", Some(self.eval_nanos).filter(|value| *value != 0)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!(r#","{name}":{}"#, value?)))
        .collect()
    }
}
