//! One record of a stream: an NDJSON line, an SSE event, or a whole JSON answer.

mod anthropic;
mod draft;
mod ollama;
mod openai;
#[cfg(test)]
mod tests;

use super::json::Cursor;
use super::{Dialect, Usage};

/// What a record carries. One kind a record; the first that fits in the order error, terminal,
/// tool call, content, thinking, other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text of the answer.
    Content,
    /// Text of the model's reasoning.
    Thinking,
    /// A call of a tool.
    ToolCall,
    /// The dialect's last word: `"done":true`, `"status":"success"`, `[DONE]`, `message_stop`, …
    Terminal,
    /// An error told inside the stream.
    Error,
    /// Anything else: a role, a status, a ping, usage.
    Other,
}

impl Kind {
    /// Every kind, in the order of [`Kind::index`].
    pub const ALL: [Kind; 6] =
        [Kind::Content, Kind::Thinking, Kind::ToolCall, Kind::Terminal, Kind::Error, Kind::Other];

    /// The value of the label `kind`.
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

    /// Its place in [`Kind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A record, as far as metering needs it. Never its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it carries.
    pub kind: Kind,
    /// It carries content, thinking or a tool call (a terminal record of a whole answer does too).
    pub has_content: bool,
    /// It carries a tool call, beside whatever its kind says: since Ollama 0.30 the terminal record may.
    pub has_tool_call: bool,
    /// Ollama's `created_at`, nanoseconds since the Unix epoch.
    pub created_at: Option<i64>,
    /// Counts and durations, where it carries any.
    pub usage: Option<Usage>,
}

/// Why a record was forwarded without being understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unscanned {
    /// Longer than [`super::scanner::MAX_RECORD`].
    TooLong,
    /// Not what the framing promises.
    Malformed,
    /// In a content coding that is not known, or not what its coding promises: the body from here on, told once.
    Coding,
}

/// Reads the text of one record. `None` where it is white space, which is no record; `whole` where it is
/// a whole answer and not one of a stream.
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
