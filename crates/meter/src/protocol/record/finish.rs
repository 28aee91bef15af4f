//! Why a model stopped.

/// The reason why a model stopped, as a record states it. The words of all dialects map to this closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The answer is complete: the model ended it, or a stop sequence did.
    Stop,
    /// The limit of tokens that the request set (`num_predict`, `max_tokens`).
    Length,
    /// The context was full.
    Context,
    /// The model calls tools.
    ToolCalls,
    /// The request only loaded the model.
    Load,
    /// The request only unloaded the model.
    Unload,
    /// The model or a filter refused to answer.
    ContentFilter,
    /// The generation failed.
    Error,
    /// A reason that is not on this list.
    Other,
}

impl FinishReason {
    /// Every reason, in the order of [`FinishReason::index`].
    pub const ALL: [FinishReason; 9] = [
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::Context,
        FinishReason::ToolCalls,
        FinishReason::Load,
        FinishReason::Unload,
        FinishReason::ContentFilter,
        FinishReason::Error,
        FinishReason::Other,
    ];

    /// Returns the value of the label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Context => "context",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::Load => "load",
            FinishReason::Unload => "unload",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Error => "error",
            FinishReason::Other => "other",
        }
    }

    /// Returns its index in [`FinishReason::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Reads `done_reason`, `finish_reason` or `stop_reason`, or the `status` or the `incomplete_details.reason` of
    /// `/v1/responses`. `None`: the field is empty, or the response has not ended.
    pub(super) fn read(word: &[u8]) -> Option<FinishReason> {
        Some(match word {
            b"" | b"queued" | b"in_progress" => return None,
            b"stop" | b"end_turn" | b"stop_sequence" | b"completed" => FinishReason::Stop,
            b"length" | b"max_tokens" | b"max_output_tokens" => FinishReason::Length,
            b"model_context_window_exceeded" => FinishReason::Context,
            b"tool_calls" | b"tool_use" | b"function_call" => FinishReason::ToolCalls,
            b"load" => FinishReason::Load,
            b"unload" => FinishReason::Unload,
            b"content_filter" | b"refusal" => FinishReason::ContentFilter,
            b"error" | b"failed" => FinishReason::Error,
            _ => FinishReason::Other,
        })
    }
}
