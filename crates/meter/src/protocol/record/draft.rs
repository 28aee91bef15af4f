//! The parts of a record that a dialect's reader has seen so far.

use super::super::Usage;
use super::super::json::{Broken, Cursor, ROOM};
use super::{FinishReason, Kind, Record};

/// A record that is being read. Fields may come in any order and more than once.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) content: bool,
    pub(super) thinking: bool,
    pub(super) tool_call: bool,
    pub(super) terminal: bool,
    pub(super) error: bool,
    pub(super) created_at: Option<i64>,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Usage,
}

impl Draft {
    pub(super) const fn has_content(&self) -> bool {
        self.content || self.thinking || self.tool_call
    }

    /// A whole response is its own terminal record, if it is the answer of a model and not, for example, a list of
    /// models.
    pub(super) fn end_whole_answer(&mut self) {
        self.terminal |= self.has_content() || self.usage != Usage::default();
    }

    pub(super) fn record(self) -> Record {
        let kind = if self.error {
            Kind::Error
        } else if self.terminal {
            Kind::Terminal
        } else if self.tool_call {
            Kind::ToolCall
        } else if self.content {
            Kind::Content
        } else if self.thinking {
            Kind::Thinking
        } else {
            Kind::Other
        };
        Record {
            kind,
            has_content: self.has_content(),
            has_tool_call: self.tool_call,
            created_at: self.created_at,
            finish: self.finish,
            usage: (self.usage != Usage::default()).then_some(self.usage),
        }
    }
}

/// Reads the word of a finish reason.
pub(super) fn read_reason(value: &mut Cursor<'_>) -> Result<Option<FinishReason>, Broken> {
    let mut room = ROOM;
    Ok(value.text()?.and_then(|word| FinishReason::read(word.said(&mut room))))
}

/// Reads the `usage` object of `/v1`, whose field names differ by endpoint. An object with zeros only reports
/// nothing: `/v1/completions` puts such an object into every chunk but the last.
pub(super) fn read_usage(value: &mut Cursor<'_>) -> Result<Usage, Broken> {
    let mut usage = Usage::default();
    // Anthropic counts the tokens that a cache read or stored separately from `input_tokens`.
    let mut beside = 0_u64;
    value.object(|value, key| {
        match key {
            b"prompt_tokens" | b"input_tokens" => usage.prompt_tokens = value.count()?,
            b"completion_tokens" | b"output_tokens" => usage.output_tokens = value.count()?,
            b"prompt_tokens_details" | b"input_tokens_details" => value.object(|value, key| match key {
                b"cached_tokens" => value.count().map(|count| usage.prompt_cached_tokens = count),
                _ => value.skip(),
            })?,
            b"cache_read_input_tokens" => {
                usage.prompt_cached_tokens = value.count()?;
                beside = beside.saturating_add(usage.prompt_cached_tokens.unwrap_or(0));
            }
            b"cache_creation_input_tokens" => beside = beside.saturating_add(value.count()?.unwrap_or(0)),
            _ => value.skip()?,
        }
        Ok(())
    })?;
    usage.prompt_tokens = usage.prompt_tokens.map(|count| count.saturating_add(beside));
    let told = [usage.prompt_tokens, usage.prompt_cached_tokens, usage.output_tokens];
    Ok(if told.iter().all(|count| count.is_none_or(|count| count == 0)) { Usage::default() } else { usage })
}
