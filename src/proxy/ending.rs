//! Logs a finished request, and computes what its caller is charged. It never sees the content.

use std::time::Duration;

use crate::{
    admission::Charge,
    meter::{Ending, ModelLoad, Outcome},
    protocol::FinishReason,
    scheduler::StreamCost,
    upstream::Observed,
};

/// Logs the request at the level debug, which `-v` shows.
pub(super) fn log(ending: &Ending, caller: Option<&str>) {
    tracing::debug!(
        target: "streamgauge::request",
        id = %ending.id,
        trace_id = ending.trace.map(|parent| tracing::field::display(parent.trace)),
        route = ending.route.label(),
        caller,
        model = ending.model,
        upstream = ending.upstream,
        outcome = ending.outcome.label(),
        finish = ending.finish.map(FinishReason::label),
        status = ending.status.map(|status| status.as_u16()),
        duration_s = ending.duration.as_secs_f64(),
        ttft_s = ending.first_token.as_ref().map(Duration::as_secs_f64),
        prompt_tokens = ending.usage.prompt_tokens,
        output_tokens = ending.usage.output_tokens,
        "finished",
    );
    if let Some(load) = &ending.load {
        log_load(ending, load);
    }
    if ending.is_prompt_cut {
        tracing::warn!(
            id = %ending.id,
            route = ending.route.label(),
            caller,
            model = ending.model,
            upstream = ending.upstream,
            prompt_tokens = ending.usage.prompt_tokens,
            prompt_bytes = ending.prompt_bytes,
            context = ending.context,
            "Ollama probably cut the prompt to make it fit into the context: raise num_ctx, or shorten the prompt",
        );
    }
    // An explained failure was logged when it happened.
    if ending.outcome.is_failure() && ending.explanation.is_none() {
        tracing::warn!(
            id = %ending.id,
            route = ending.route.label(),
            caller,
            model = ending.model,
            upstream = ending.upstream,
            outcome = ending.outcome.label(),
            after_s = ending.duration.as_secs_f64(),
            "a request failed: {}",
            ending.reason(),
        );
    }
}

/// Logs a load of a model: who caused it, and against whom.
fn log_load(ending: &Ending, load: &ModelLoad) {
    let difference = load.difference.as_ref();
    // An option that a request does not set is left to Ollama.
    let value = |value: Option<i64>| value.map_or_else(|| "default".to_owned(), |value| value.to_string());
    tracing::info!(
        id = %ending.id,
        model = ending.model,
        upstream = ending.upstream,
        cause = load.cause.label(),
        load_s = ending.usage.load.as_ref().map(Duration::as_secs_f64),
        caller = load.caller.as_deref(),
        earlier_caller = load.earlier_caller.as_deref(),
        expired_after_s = load.expired_after.map(|time| time.as_secs_f64()),
        option = difference.map(|difference| difference.option),
        now = difference.map(|difference| value(difference.now)),
        before = difference.map(|difference| value(difference.before)),
        evicted_by = load.evicted_by,
        "Ollama loaded a model",
    );
}

/// The charge for the caller of the request.
pub(super) fn charge(ending: &Ending) -> Charge<'_> {
    let Ending { outcome, usage, content_records, duration, first_token, context, .. } = ending;
    let is_answered = ending.status.is_none_or(|status| status.is_success());
    // Ollama reads a prompt as soon as it arrives, so that a client which disconnects is charged for the prompt. If
    // the upstream fails before the first record, nothing is charged.
    let was_read = is_answered && (*outcome == Outcome::ClientAbort || *content_records > 0);
    Charge {
        outcome: outcome.label(),
        usage: *usage,
        content_records: *content_records,
        prompt_estimate: if was_read { ending.prompt_estimate } else { 0 },
        context: *context,
        duration: *duration,
        first_token: *first_token,
    }
}

/// What a stream that ended completely cost the upstream. `None`: the stream did not end completely.
pub(super) fn cost(ending: &Ending) -> Option<StreamCost> {
    let Ending { outcome, usage, content_records, hidden_queue, record_interval, .. } = ending;
    let is_answered = ending.status.is_some_and(|status| status.is_success());
    (*outcome == Outcome::Complete && is_answered && *content_records > 0).then(|| StreamCost {
        hidden: hidden_queue.as_ref().map(Duration::as_secs_f64),
        token: record_interval.as_ref().filter(|_| hidden_queue.is_some()).map(Duration::as_secs_f64),
        before: hidden_queue.and(prepared(ending)).as_ref().map(Duration::as_secs_f64),
        tokens: usage.output_tokens.unwrap_or(*content_records),
    })
}

/// The time that Ollama reported for the prompt and, as it does for each request, for a model that was in memory.
fn prepared(ending: &Ending) -> Option<Duration> {
    let usage = &ending.usage;
    let load = if ending.load.is_some() { Duration::ZERO } else { usage.load? };
    Some(load.saturating_add(usage.prompt_eval.unwrap_or_default()))
}

/// The measurements of the upstream that the request adds.
pub(super) fn observed(ending: &Ending) -> Observed {
    let usage = &ending.usage;
    if usage.has_invalid_duration {
        return Observed::default();
    }
    let cached = usage.prompt_cached_tokens.unwrap_or(0);
    Observed {
        load: usage.load,
        prompt_eval: usage.prompt_eval,
        prompt_tokens: usage.prompt_tokens.map(|tokens| tokens.saturating_sub(cached)),
        first_token: ending.first_token,
        generation: usage.eval,
        output_tokens: usage.output_tokens,
    }
}
