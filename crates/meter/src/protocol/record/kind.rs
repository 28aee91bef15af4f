//! The contents of a record.

use super::{super::Usage, FinishReason};

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
    /// Why the model stopped, if the record states it.
    pub finish: Option<FinishReason>,
    /// Counts and durations, if it carries any.
    pub usage: Option<Usage>,
}
