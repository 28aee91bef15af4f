//! The dialects of an answer. Each writes its records as Ollama does, field by field.

mod chat;
mod compaction;
mod completion;
mod generate;
mod message;
mod openai_chat;
mod response;
mod transcription;

use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::ask::Ask;
use super::decode::Decode;
use super::endpoint::Endpoint;
use super::frames::{Frames, Template};
use super::object::json;
use super::script::{Part, Script};
use super::seed::Seed;
use super::version::{ChatPath, OllamaVersion};

/// The message of an error in the middle of a stream.
pub(super) const FAILURE: &str = "an error was encountered while running the model: simulated failure";

/// The letters of the ids of tool calls. Ollama's own ids use the first 36.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A dialect, for one answer. Its methods are called in the order of the stream: `open`, then for each part `enter`,
/// `template` for its tokens, and `leave`; `calls`, if tool calls have records of their own; and finally `close`, or
/// `fail`.
pub(super) trait Voice: Send + Sync {
    /// Returns the content type of the streamed body.
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Returns the content type of a body that is not streamed.
    fn whole_type(&self) -> &'static str {
        "application/json"
    }

    /// Whether the response has a hop-by-hop `Connection: keep-alive`, and `Cache-Control: no-cache`.
    fn keeps_alive(&self) -> bool {
        false
    }

    /// Writes the records before the first token. `done` states that the first record is also the last one.
    fn open(&self, _done: bool, _ending: &Ending, _out: &mut Frames) {}

    /// Writes the records before thinking or content.
    fn enter(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// Returns the template of a token of thinking or content. `first` states that the token begins the stream.
    fn template(&self, part: Part, first: bool, script: &Script) -> Template;

    /// Writes the records after thinking or content.
    fn leave(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// Writes the records of tool calls when they are complete.
    fn calls(&self, _calls: Range<usize>, _first: bool, _ending: &Ending, _out: &mut Frames) {}

    /// Whether the last record contains the text of a call that was cut by the limit. Otherwise it is content before
    /// the last record.
    fn closes_with_cut_call(&self) -> bool {
        false
    }

    /// Writes the end of the stream, with the tool calls that had no record of their own.
    fn close(&self, first: bool, ending: &Ending, out: &mut Frames);

    /// Starts the second run of the model, whose prompt contains the thinking, to answer in the requested format.
    fn restart(&self, _out: &mut Frames) {}

    /// Whether only the end is sent, although the head comes with the first token.
    fn is_silent(&self) -> bool {
        false
    }

    /// Writes the end of a failed stream. `/v1` does not report the failure.
    fn fail(&self, _out: &mut Frames) {}

    /// Returns a record that is not valid.
    fn garbage(&self) -> &'static str {
        "data: this is {not JSON\n\n"
    }

    /// Returns the answer as one body.
    fn whole(&self, ending: &Ending) -> String;
}

/// The contents of an answer, and the values of its last record. Durations are real.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) version: OllamaVersion,
    pub(super) path: ChatPath,
    pub(super) script: Script,
    /// Whether the model runs twice, to think and to answer. Before 0.34 the last record reports the second run only.
    pub(super) restarts: bool,
    /// The seed for the ids of its tool calls.
    pub(super) seed: Seed,
    /// The tokens of the prompt as `/v1/messages` estimates them before they are counted.
    pub(super) estimate: u32,
    pub(super) prompt_tokens: u32,
    /// How many tokens of the prompt were in a slot's cache.
    pub(super) cached_tokens: u32,
    pub(super) asked: Instant,
    /// The time until the model was loaded.
    pub(super) load: Duration,
    pub(super) prompt_eval: Duration,
    pub(super) eval_nanos: i64,
    pub(super) total: Duration,
}

/// A complete tool call.
pub(super) struct Call<'a> {
    pub(super) id: String,
    pub(super) index: usize,
    pub(super) name: &'a str,
    /// The arguments, as a JSON object.
    pub(super) arguments: &'static str,
}

impl Ending {
    /// Notes that the answer ends now.
    pub(super) fn finish(&mut self, decode: &Decode) {
        self.total = self.asked.elapsed();
        self.eval_nanos = decode.eval_nanos();
    }

    /// Returns some of the tool calls.
    pub(super) fn calls(&self, calls: Range<usize>) -> impl Iterator<Item = Call<'_>> {
        self.script.calls().iter().enumerate().filter(move |(index, _)| calls.contains(index)).map(
            |(index, name)| Call { id: self.call_id(index), index, name, arguments: self.script.arguments() },
        )
    }

    /// Returns the tool calls that only the last record reports.
    pub(super) fn last_calls(&self) -> Range<usize> {
        match self.path {
            ChatPath::Native => 0..self.script.calls().len(),
            ChatPath::GoTemplate => 0..0,
        }
    }

    /// Returns all tool calls.
    pub(super) fn all_calls(&self) -> Range<usize> {
        0..self.script.calls().len()
    }

    /// Returns a call that was cut by the limit. Ollama's parser passes on as text what it had held back.
    pub(super) fn cut_call(&self) -> String {
        match self.path {
            ChatPath::GoTemplate => self.script.cut_call().unwrap_or_default(),
            ChatPath::Native => String::new(),
        }
    }

    /// Returns the whole content.
    pub(super) fn content(&self) -> String {
        self.script.text(Part::Content) + &self.cut_call()
    }

    /// Returns the tokens of the prompt that were not cached and those that were, if the version reports both.
    pub(super) fn split_prompt(&self) -> (u32, Option<u32>) {
        match self.version.tells_cached() {
            true => (self.prompt_tokens - self.cached_tokens, Some(self.cached_tokens)),
            false => (self.prompt_tokens, None),
        }
    }

    fn call_id(&self, call: usize) -> String {
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
    pub(super) fn counted_from(&self) -> u32 {
        if self.restarts && !self.version.tells_cached() { self.script.thinking() } else { 0 }
    }

    /// Returns `eval_count`. The first of two runs also generates the end of its thinking and the first token of an
    /// answer.
    pub(super) fn eval_count(&self) -> u32 {
        let extra = if self.restarts && self.version.tells_cached() { 2 } else { 0 };
        self.script.tokens() - self.counted_from() + extra
    }

    fn total_tokens(&self) -> u32 {
        self.prompt_tokens + self.eval_count()
    }

    /// Returns counts and durations as `/api` writes them. A zero is left out, except for the cached tokens.
    fn metrics(&self) -> String {
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

/// Returns the dialect of a route, for one answer to a request.
pub(super) fn voice(
    endpoint: Endpoint,
    version: OllamaVersion,
    ask: &Ask,
    body: &Value,
    seed: Seed,
) -> Box<dyn Voice> {
    let model = ask.model.as_str();
    let id = seed.at(0);
    match endpoint {
        Endpoint::Chat => Box::new(chat::Chat::new(model)),
        Endpoint::OpenAiChat => Box::new(openai_chat::OpenAiChat::new(version, ask, id)),
        Endpoint::OpenAiCompletions => Box::new(completion::Completion::new(ask, id)),
        Endpoint::Compact => Box::new(compaction::Compaction::new(seed)),
        Endpoint::Transcriptions => Box::new(transcription::Transcription::new(body)),
        Endpoint::OpenAiResponses => Box::new(response::Response::new(version, ask, body, seed)),
        Endpoint::Messages => Box::new(message::Message::new(model, seed)),
        _ => Box::new(generate::Generate::new(model, body["raw"] == true)),
    }
}

/// Quotes a text as JSON.
pub(super) fn quoted(text: &str) -> String {
    json(text)
}
