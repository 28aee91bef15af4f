//! One record of a stream: an NDJSON line, an SSE event, or a whole JSON response.

mod anthropic;
mod draft;
mod ollama;
mod openai;
#[cfg(test)]
mod tests;

use super::json::Cursor;
use super::{Dialect, Usage};

/// The kind of a record. Each record has one kind, the first that applies: error, terminal, tool call, content,
/// thinking, other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text of the answer.
    Content,
    /// Text of the model's reasoning.
    Thinking,
    /// A call of a tool.
    ToolCall,
    /// The last record of the dialect: `"done":true`, `"status":"success"`, `[DONE]`, `message_stop`, …
    Terminal,
    /// An error inside the stream.
    Error,
    /// Anything else: a role, a status, a ping, usage.
    Other,
}

impl Kind {
    /// Every kind, in the order of [`Kind::index`].
    pub const ALL: [Kind; 6] =
        [Kind::Content, Kind::Thinking, Kind::ToolCall, Kind::Terminal, Kind::Error, Kind::Other];

    /// Returns the value of the label `kind`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Content => "content",
            Kind::Thinking => "thinking",
            Kind::ToolCall => "tool_call",
            Kind::Terminal => "terminal",
            Kind::Error => "error",
            Kind::Other => "other",
        }
    }

    /// Returns its index in [`Kind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The parts of a record that metering needs. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The kind.
    pub kind: Kind,
    /// Whether it carries content, thinking or a tool call. The terminal record of a whole response may do so too.
    pub has_content: bool,
    /// Whether it carries a tool call, in addition to its kind. Since Ollama 0.30 the terminal record may carry one.
    pub has_tool_call: bool,
    /// Ollama's `created_at`, nanoseconds since the Unix epoch.
    pub created_at: Option<i64>,
    /// Counts and durations, if it carries any.
    pub usage: Option<Usage>,
}

/// The reason why a record was forwarded without being understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unscanned {
    /// It is longer than [`super::scanner::MAX_RECORD`].
    TooLong,
    /// It does not match the framing.
    Malformed,
    /// Its content coding is unknown, or its data does not match the coding. This covers the body from here on, and
    /// is reported once.
    Coding,
}

/// Reads the text of one record. `None`: the text is white space, which is not a record. `whole` states that it is a
/// whole response and not a record of a stream.
pub(super) fn read(text: &[u8], dialect: Dialect, whole: bool) -> Option<Result<Record, Unscanned>> {
    let mut value = Cursor::new(text);
    let Ok(first) = value.peek() else { return None };
    if first != b'{' {
        let is_done = dialect == Dialect::OpenAi && !whole && text.trim_ascii() == openai::DONE;
        let terminal = draft::Draft { terminal: true, ..draft::Draft::default() };
        return Some(if is_done { Ok(terminal.record()) } else { Err(Unscanned::Malformed) });
    }
    let draft = match dialect {
        Dialect::Ollama => ollama::read(&mut value, whole),
        Dialect::OpenAi => openai::read(&mut value),
        Dialect::Anthropic => anthropic::read(&mut value),
    };
    Some(match draft {
        Ok(mut draft) if value.at_end() => {
            if whole {
                draft.end_whole_answer();
            }
            Ok(draft.record())
        }
        _ => Err(Unscanned::Malformed),
    })
}
