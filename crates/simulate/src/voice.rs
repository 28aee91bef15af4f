//! The dialects of an answer. Each writes its records as Ollama does, field by field.

mod chat;
mod compaction;
mod completion;
mod dialect;
mod ending;
mod generate;
mod message;
mod openai_chat;
mod response;
mod transcription;

use serde_json::Value;

use super::ask::Ask;
use super::endpoint::Endpoint;
use super::seed::Seed;
use super::version::OllamaVersion;

pub(super) use dialect::{FAILURE, Voice, quoted};
pub(super) use ending::{Call, Ending};

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
