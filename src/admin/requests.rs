//! `/requests`: the last requests that failed or were slow, as JSON. It never contains a prompt.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::{
    meter::{Meter, NotedRequest},
    protocol::FinishReason,
};

/// Renders all of the requests that are kept, the newest first. Times are in seconds.
pub(super) fn render(meter: &Meter) -> String {
    let mut text = json!({ "requests": newest(meter, usize::MAX) }).to_string();
    text.push('\n');
    text
}

/// The newest of them, at most `most`.
pub(super) fn newest(meter: &Meter, most: usize) -> Vec<Value> {
    let now = SystemTime::now();
    meter.noted(most).iter().map(|noted| request(noted, now)).collect()
}

fn request(noted: &NotedRequest, now: SystemTime) -> Value {
    let NotedRequest { at, ending, reason, .. } = noted;
    let (ago, usage) = (at.elapsed(), &ending.usage);
    let ended = now.checked_sub(ago).unwrap_or(now);
    let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
    json!({
        "id": ending.id.to_string(),
        "trace_id": ending.trace.map(|parent| parent.trace.to_string()),
        "ended_at": humantime::format_rfc3339_millis(ended).to_string(),
        "ago_seconds": ago.as_secs_f64(),
        "route": ending.route.label(),
        "caller": ending.caller.as_deref(),
        "model": ending.model,
        "upstream": ending.upstream,
        "outcome": ending.outcome.label(),
        "failed": ending.has_failed(),
        "slow": ending.is_slow,
        "reason": reason,
        "finish": ending.finish.map(FinishReason::label),
        "status": ending.status.map(|status| status.as_u16()),
        "duration_seconds": ending.duration.as_secs_f64(),
        "time_to_first_token_seconds": seconds(ending.first_token),
        "gap_p50_seconds": seconds(ending.gap_p50),
        "gap_p99_seconds": seconds(ending.gap_p99),
        "queue_seconds": seconds(ending.queue_wait),
        "hidden_queue_seconds": seconds(ending.hidden_queue),
        "load_seconds": seconds(usage.load),
        "prompt_eval_seconds": seconds(usage.prompt_eval),
        "client_wait_seconds": ending.client_wait.as_secs_f64(),
        "prompt_bytes": ending.prompt_bytes,
        "prompt_tokens": usage.prompt_tokens,
        "prompt_cached_tokens": usage.prompt_cached_tokens,
        "output_tokens": usage.output_tokens,
        "prompt_cut": ending.is_prompt_cut,
    })
}
