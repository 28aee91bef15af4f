//! `finish_total` of one route and model, and the finish reason of a request.

use std::sync::Arc;

use prometheus::IntCounter;

use super::Outcome;
use crate::{
    metric::Family,
    protocol::{FinishReason, Route, Usage},
};

/// The label of a generation whose response states no reason.
const NONE: &str = "none";

/// The tokens by which the sum of a full context may differ from its length: Ollama 0.12 counts one more.
const SLACK: u64 = 1;

/// The counters by finish reason. The usual reasons have a counter from the start, because `rate()` and `increase()`
/// ignore the first value of a series.
#[derive(Debug)]
pub(super) struct Finishes {
    family: Family<IntCounter, 3>,
    model: String,
    route: Route,
    none: Arc<IntCounter>,
    /// By [`FinishReason::index`].
    opened: [Option<Arc<IntCounter>>; FinishReason::ALL.len()],
}

impl Finishes {
    /// `None`: responses on this route state no reason.
    pub(super) fn open(family: &Family<IntCounter, 3>, model: &str, route: Route) -> Option<Finishes> {
        if !states_reason(route) {
            return None;
        }
        let mut finishes = Finishes {
            family: family.clone(),
            model: model.to_owned(),
            route,
            none: family.child([route.label(), model, NONE]),
            opened: Default::default(),
        };
        for reason in FinishReason::ALL.into_iter().filter(|reason| is_usual(route, *reason)) {
            finishes.opened[reason.index()] = Some(finishes.child(reason));
        }
        Some(finishes)
    }

    /// Counts a generation.
    pub(super) fn ended(&self, reason: Option<FinishReason>) {
        match reason.map(|reason| (reason, &self.opened[reason.index()])) {
            None => self.none.inc(),
            Some((_, Some(counter))) => counter.inc(),
            Some((reason, None)) => self.child(reason).inc(),
        }
    }

    fn child(&self, reason: FinishReason) -> Arc<IntCounter> {
        self.family.child([self.route.label(), &self.model, reason.label()])
    }
}

const fn states_reason(route: Route) -> bool {
    matches!(
        route,
        Route::Generate
            | Route::Chat
            | Route::OpenaiChat
            | Route::OpenaiCompletions
            | Route::OpenaiResponses
            | Route::AnthropicMessages
    )
}

/// Whether Ollama gives this reason on this route. Another reason is still counted if it comes.
const fn is_usual(route: Route, reason: FinishReason) -> bool {
    match reason {
        FinishReason::Stop | FinishReason::Length | FinishReason::Context | FinishReason::Error => true,
        FinishReason::ToolCalls => !matches!(route, Route::Generate | Route::OpenaiCompletions),
        FinishReason::Load | FinishReason::Unload => matches!(route, Route::Generate | Route::Chat),
        FinishReason::ContentFilter | FinishReason::Other => false,
    }
}

/// Returns the finish reason of a request that ended with this outcome. `stated`: the reason in its response.
/// `context`: the tokens of the model's context.
///
/// Ollama states a full context as `length`, like the limit of the request. The tokens then sum up to the context.
pub(super) fn finish_reason(
    stated: Option<FinishReason>,
    outcome: Outcome,
    usage: &Usage,
    context: Option<u64>,
) -> Option<FinishReason> {
    if outcome == Outcome::InBandError {
        return Some(FinishReason::Error);
    }
    let tokens = usage.prompt_tokens.zip(usage.output_tokens).map(|(prompt, output)| prompt + output);
    let is_full = tokens.zip(context).is_some_and(|(tokens, context)| tokens.abs_diff(context) <= SLACK);
    match stated {
        Some(FinishReason::Length) if is_full => Some(FinishReason::Context),
        stated => stated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_at_the_end_of_the_context_is_context() {
        let reason = |stated, prompt, output, context| {
            let usage =
                Usage { prompt_tokens: Some(prompt), output_tokens: Some(output), ..Usage::default() };
            finish_reason(stated, Outcome::Complete, &usage, context)
        };
        let (length, context) = (Some(FinishReason::Length), Some(FinishReason::Context));
        // With `num_ctx` 256, 0.34.3 stopped after 12 and 244 tokens, and 0.12.11 after 12 and 245.
        assert_eq!(reason(length, 12, 244, Some(256)), context);
        assert_eq!(reason(length, 12, 245, Some(256)), context);
        assert_eq!(reason(length, 12, 242, Some(256)), length);
        // A shifted context has no end: Ollama stops after ten times its length.
        assert_eq!(reason(length, 19, 2_560, Some(256)), length);
        assert_eq!(reason(length, 12, 244, None), length);
        assert_eq!(reason(Some(FinishReason::Stop), 12, 244, Some(256)), Some(FinishReason::Stop));
    }

    #[test]
    fn stream_that_ends_in_an_error_finishes_with_error() {
        let ended = |outcome, stated| finish_reason(stated, outcome, &Usage::default(), None);
        assert_eq!(ended(Outcome::InBandError, None), Some(FinishReason::Error));
        assert_eq!(ended(Outcome::InBandError, Some(FinishReason::Stop)), Some(FinishReason::Error));
        assert_eq!(ended(Outcome::ClientAbort, None), None);
    }
}
