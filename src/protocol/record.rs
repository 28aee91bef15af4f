//! One record of a stream: an NDJSON line, an SSE event, or a whole JSON answer.

use super::Usage;

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
}
