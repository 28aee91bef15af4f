//! The dialects in which an answer is told. Each writes its records as Ollama does, field by field.

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

/// What goes wrong when something is to go wrong in mid-stream.
pub(super) const FAILURE: &str = "an error was encountered while running the model: simulated failure";

/// Of the ids of tool calls: Ollama's own draw on the first 36.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A dialect, about one answer. Its calls come in the order of the stream: `open`, then for each part `enter`, its
/// tokens by `template`, `leave`; `calls` where tool calls have records of their own; and at last `close`; or `fail`.
pub(super) trait Voice: Send + Sync {
    /// Type of the streamed body.
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Type of the whole body.
    fn whole_type(&self) -> &'static str {
        "application/json"
    }

    /// Sends a hop-by-hop `Connection: keep-alive`, and `Cache-Control: no-cache`.
    fn keeps_alive(&self) -> bool {
        false
    }

    /// What comes before the first record. `done` says that the first record is the last one too.
    fn open(&self, _done: bool, _ending: &Ending, _out: &mut Frames) {}

    /// What comes before thinking or content.
    fn enter(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// What a token of thinking or content is written into. `first` says that it begins the stream.
    fn template(&self, part: Part, first: bool, script: &Script) -> Template;

    /// What comes after thinking or content.
    fn leave(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// What tells of tool calls as they are complete.
    fn calls(&self, _calls: Range<usize>, _first: bool, _ending: &Ending, _out: &mut Frames) {}

    /// Whether the last record has the text of a call that the limit cut; else it is content before that.
    fn closes_with_cut_call(&self) -> bool {
        false
    }

    /// What ends the stream, with the tool calls that had no record of their own.
    fn close(&self, first: bool, ending: &Ending, out: &mut Frames);

    /// The model starts again, with its thinking as a part of the prompt, to answer in the form that was asked for.
    fn restart(&self, _out: &mut Frames) {}

    /// Whether nothing but the end is told, though the head comes with the first token.
    fn is_silent(&self) -> bool {
        false
    }

    /// What ends a failed stream; on `/v1` there is no word of the failure.
    fn fail(&self, _out: &mut Frames) {}

    /// A record that is none.
    fn garbage(&self) -> &'static str {
        "data: this is {not JSON\n\n"
    }

    /// The answer whole.
    fn whole(&self, ending: &Ending) -> String;
}

/// What an answer says, and what its last record tells of it. Durations are true.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) version: OllamaVersion,
    pub(super) path: ChatPath,
    pub(super) script: Script,
    /// The model runs once to think and once more to answer, and the last record of a version before 0.34 tells of
    /// the second run alone.
    pub(super) restarts: bool,
    /// What draws the ids of its tool calls.
    pub(super) seed: Seed,
    /// As `/v1/messages` estimates them before they are counted.
    pub(super) estimate: u32,
    pub(super) prompt_tokens: u32,
    /// How many of these a slot still knew.
    pub(super) cached_tokens: u32,
    pub(super) asked: Instant,
    /// The model was there.
    pub(super) load: Duration,
    pub(super) prompt_eval: Duration,
    pub(super) eval_nanos: i64,
    pub(super) total: Duration,
}

/// A tool call that is complete.
pub(super) struct Call<'a> {
    pub(super) id: String,
    pub(super) index: usize,
    pub(super) name: &'a str,
    /// A JSON object.
    pub(super) arguments: &'static str,
}

impl Ending {
    /// Notes that the answer ends now.
    pub(super) fn finish(&mut self, decode: &Decode) {
        self.total = self.asked.elapsed();
        self.eval_nanos = decode.eval_nanos();
    }

    /// Some of the tool calls.
    pub(super) fn calls(&self, calls: Range<usize>) -> impl Iterator<Item = Call<'_>> {
        self.script.calls().iter().enumerate().filter(move |(index, _)| calls.contains(index)).map(
            |(index, name)| Call { id: self.call_id(index), index, name, arguments: self.script.arguments() },
        )
    }

    /// The tool calls that only the last record tells of.
    pub(super) fn last_calls(&self) -> Range<usize> {
        match self.path {
            ChatPath::Native => 0..self.script.calls().len(),
            ChatPath::GoTemplate => 0..0,
        }
    }

    /// All tool calls.
    pub(super) fn all_calls(&self) -> Range<usize> {
        0..self.script.calls().len()
    }

    /// A call that the limit cut: Ollama's parser hands over what it has kept back, as text.
    pub(super) fn cut_call(&self) -> String {
        match self.path {
            ChatPath::GoTemplate => self.script.cut_call().unwrap_or_default(),
            ChatPath::Native => String::new(),
        }
    }

    /// The content, whole.
    pub(super) fn content(&self) -> String {
        self.script.text(Part::Content) + &self.cut_call()
    }

    /// The tokens of the prompt that were not cached, and those that were, where this version tells them apart.
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

    /// The token from which on its last record tells.
    pub(super) fn counted_from(&self) -> u32 {
        if self.restarts && !self.version.tells_cached() { self.script.thinking() } else { 0 }
    }

    /// `eval_count`. The first of two runs has generated the end of its thinking and the first token of an answer, too.
    pub(super) fn eval_count(&self) -> u32 {
        let extra = if self.restarts && self.version.tells_cached() { 2 } else { 0 };
        self.script.tokens() - self.counted_from() + extra
    }

    fn total_tokens(&self) -> u32 {
        self.prompt_tokens + self.eval_count()
    }

    /// Counts and durations as `/api` writes them: a zero is left out, but for the cached tokens.
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

/// The dialect of a route, for one answer to a request.
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

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    json(text)
}
