//! The dialects in which an answer is told. Each writes its records as Ollama does, field by field.

mod chat;
mod completion;
mod generate;
mod message;
mod openai_chat;
mod response;

use std::time::Duration;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::frames::{Frames, Template};
use super::script::{Part, Script};
use super::seed::Seed;

/// What goes wrong when something is to go wrong in mid-stream.
pub(super) const FAILURE: &str = "an error was encountered while running the model: simulated failure";

/// A dialect, about one answer. Its calls come in the order of the stream: `open`, then for each
/// part `enter`, its tokens by `template`, `leave`, and at last `close`; or `fail`.
pub(super) trait Voice: Send + Sync {
    /// Type of the streamed body.
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Type of the whole body.
    fn whole_type(&self) -> &'static str {
        "application/json"
    }

    /// Sends a hop-by-hop `Connection: keep-alive`.
    fn keeps_alive(&self) -> bool {
        false
    }

    /// What comes before the first token.
    fn open(&self, _ending: &Ending, _out: &mut Frames) {}

    /// What comes before a part.
    fn enter(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// What a token of a part is written into.
    fn template(&self, part: Part, script: &Script) -> Template;

    /// What comes after a part.
    fn leave(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// What ends the stream.
    fn close(&self, ending: &Ending, out: &mut Frames);

    /// What ends a failed stream; on `/v1` nothing does.
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
    pub(super) script: Script,
    pub(super) prompt_tokens: u32,
    /// How many of these a slot still knew.
    pub(super) cached_tokens: u32,
    pub(super) asked: Instant,
    /// The model was there.
    pub(super) load: Duration,
    pub(super) prompt_eval: Duration,
    pub(super) first_token: Instant,
    pub(super) eval: Duration,
    pub(super) total: Duration,
}

impl Ending {
    /// Notes that the answer ends now.
    pub(super) fn finish(&mut self) {
        self.total = self.asked.elapsed();
        self.eval = self.first_token.elapsed();
    }

    fn total_tokens(&self) -> u32 {
        self.prompt_tokens + self.script.tokens()
    }

    /// Counts and durations as `/api` writes them: a zero is left out.
    fn metrics(&self) -> String {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        [
            ("total_duration", nanos(self.total)),
            ("load_duration", nanos(self.load)),
            ("prompt_eval_count", u64::from(self.prompt_tokens)),
            ("prompt_eval_cached_count", u64::from(self.cached_tokens)),
            ("prompt_eval_duration", nanos(self.prompt_eval)),
            ("eval_count", u64::from(self.script.tokens())),
            ("eval_duration", nanos(self.eval)),
        ]
        .iter()
        .filter(|(_, value)| *value != 0)
        .map(|(name, value)| format!(r#","{name}":{value}"#))
        .collect()
    }
}

/// The dialect of a route, for one answer.
pub(super) fn voice(endpoint: Endpoint, model: &str, include_usage: bool, seed: Seed) -> Box<dyn Voice> {
    let id = (seed.at(0) % 1_000_000) as u32;
    match endpoint {
        Endpoint::Chat => Box::new(chat::Chat::new(model, id)),
        Endpoint::OpenAiChat => Box::new(openai_chat::OpenAiChat::new(model, id, include_usage)),
        Endpoint::OpenAiCompletions => Box::new(completion::Completion::new(model, id, include_usage)),
        Endpoint::OpenAiResponses => Box::new(response::Response::new(model, id)),
        Endpoint::Messages => Box::new(message::Message::new(model, id)),
        _ => Box::new(generate::Generate::new(model)),
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
