//! `/streams`: the running streams, as JSON. It never contains a prompt.

use serde_json::{Value, json};

use crate::{meter::Snapshot, upstream::Upstreams};

/// The streams, oldest first, and the limits that were found. Times are in seconds.
pub(super) fn render(running: &[Snapshot], upstreams: &Upstreams) -> String {
    let streams: Vec<Value> = running.iter().map(stream).collect();
    let found = upstreams.all().iter().filter_map(|upstream| Some((upstream, upstream.found_limit()?)));
    let limits: Vec<Value> = found
        .map(|(upstream, (limit, reason))| {
            json!({"upstream": upstream.name(), "max_streams": limit, "reason": reason})
        })
        .collect();
    let mut text = json!({"streams": streams, "limits": limits}).to_string();
    text.push('\n');
    text
}

/// One stream.
pub(super) fn stream(one: &Snapshot) -> Value {
    let seconds = |duration: Option<std::time::Duration>| duration.map(|duration| duration.as_secs_f64());
    json!({
        "id": one.id,
        "route": one.route.label(),
        "model": one.model,
        "upstream": one.upstream,
        "age_seconds": one.age.as_secs_f64(),
        "decoding": one.decoding,
        "overlong_prompt": one.overlong_prompt,
        "records": one.records,
        "tokens": one.tokens,
        "time_to_first_token_seconds": seconds(one.first_token),
        "last_gap_seconds": seconds(one.last_gap),
        "gap_p50_seconds": seconds(one.gap_p50),
        "gap_p99_seconds": seconds(one.gap_p99),
        "client_backpressure_seconds": one.backpressure.as_secs_f64(),
        "silent_seconds": seconds(one.silent),
    })
}
