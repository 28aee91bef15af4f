//! Reads the lines of an answer as a client would, each with the JSON parser.

use std::borrow::Cow;

use memchr::memchr;
use serde::Deserialize;

use super::Ending;

/// Longer lines are not records of a generation, bytes.
const LINE: usize = 8 << 20;

/// The fields of a record that an agent needs.
#[derive(Deserialize)]
struct AnswerLine<'a> {
    #[serde(borrow, default)]
    response: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    done: bool,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    eval_count: Option<u64>,
    eval_duration: Option<u64>,
    prompt_eval_count: Option<u64>,
    prompt_eval_duration: Option<u64>,
    load_duration: Option<u64>,
    total_duration: Option<u64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
}

/// An answer that is being received.
#[derive(Debug, Default)]
pub(super) struct IncomingAnswer {
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// Whether the terminal record has come.
    pub(super) done: bool,
    /// Whether a record with content has come.
    pub(super) begun: bool,
    keep_text: bool,
}

/// The counts of the bytes that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// The records that ended in them.
    pub(super) records: u32,
    /// The records with content.
    pub(super) tokens: u32,
}

impl IncomingAnswer {
    pub(super) fn new(keep_text: bool) -> IncomingAnswer {
        IncomingAnswer { keep_text, ..IncomingAnswer::default() }
    }

    /// Reads the next bytes, and stores the reported values in `ending`.
    pub(super) fn read(&mut self, mut bytes: &[u8], ending: &mut Ending) -> Read {
        let mut read = Read::default();
        while let Some(end) = memchr(b'\n', bytes) {
            if self.rest.is_empty() {
                self.line(&bytes[..end], ending, &mut read);
            } else {
                self.rest.extend_from_slice(&bytes[..end]);
                let line = std::mem::take(&mut self.rest);
                self.line(&line, ending, &mut read);
            }
            bytes = &bytes[end + 1..];
        }
        if self.rest.len() + bytes.len() > LINE {
            ending.failure.get_or_insert_with(|| "a line of more than 8 MiB, which is not a record".into());
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(bytes);
        }
        read
    }

    /// Ends the body. Its last line may lack the newline.
    pub(super) fn finish(&mut self, ending: &mut Ending) -> Read {
        let (line, mut read) = (std::mem::take(&mut self.rest), Read::default());
        self.line(&line, ending, &mut read);
        if !self.done {
            ending.failure.get_or_insert_with(|| "the stream ended without its final record".into());
        }
        read
    }

    fn line(&mut self, line: &[u8], ending: &mut Ending, read: &mut Read) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(line) = serde_json::from_slice::<AnswerLine<'_>>(line) else {
            ending.failure.get_or_insert_with(|| "a line that is not JSON".into());
            return;
        };
        read.records += 1;
        if let Some(error) = line.error {
            ending.failure.get_or_insert_with(|| told(&error));
        }
        let message = line.message.as_ref();
        let content = line.response.as_deref().or(message.and_then(|message| message.content.as_deref()));
        let thinking = line.thinking.as_deref().or(message.and_then(|message| message.thinking.as_deref()));
        let texts = [thinking.unwrap_or_default(), content.unwrap_or_default()];
        if texts.iter().any(|text| !text.is_empty()) {
            read.tokens += 1;
            self.begun = true;
            if self.keep_text {
                ending.text.get_or_insert_default().extend(texts);
            }
        }
        if line.done {
            self.done = true;
            ending.eval_count = line.eval_count;
            ending.eval_duration = line.eval_duration;
            ending.prompt_eval_count = line.prompt_eval_count;
            ending.prompt_eval_duration = line.prompt_eval_duration;
            ending.load_duration = line.load_duration;
            ending.total_duration = line.total_duration;
        }
    }
}

/// Returns Ollama's message, shortened and in one line.
pub(super) fn told(error: &str) -> String {
    let line: String = error.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let short: String = line.trim().chars().take(200).collect();
    if short.is_empty() { "an error without a message".into() } else { format!("Ollama says: {short}") }
}
