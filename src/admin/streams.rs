//! `/streams`: the running streams, as JSON. It never contains a prompt.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{meter::Snapshot, upstream::Upstreams};

/// The places of waiting requests, by the number of the request: the position from 1, and the expected wait.
pub(crate) type QueuePlaces = HashMap<u64, (usize, Option<Duration>)>;

/// Reads the places of the requests that wait in the sidecar.
#[derive(Clone)]
pub(crate) struct Queue(Arc<dyn Fn() -> QueuePlaces + Send + Sync>);

impl Queue {
    pub(crate) fn new(places: impl Fn() -> QueuePlaces + Send + Sync + 'static) -> Queue {
        Queue(Arc::new(places))
    }

    pub(super) fn places(&self) -> QueuePlaces {
        (self.0)()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// The streams, oldest first, and the limits that were found. Times are in seconds.
pub(super) fn render(running: &[Snapshot], places: &QueuePlaces, upstreams: &Upstreams) -> String {
    let streams: Vec<Value> = running.iter().map(|one| stream(one, places)).collect();
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
pub(super) fn stream(one: &Snapshot, places: &QueuePlaces) -> Value {
    let place = places.get(&one.id.number());
    let seconds = |duration: Option<std::time::Duration>| duration.map(|duration| duration.as_secs_f64());
    json!({
        "id": one.id.to_string(),
        "route": one.route.label(),
        "model": one.model,
        "upstream": one.upstream,
        "caller": one.caller.as_deref(),
        "queue_position": place.map(|(position, _)| position),
        "queue_expected_seconds": place.and_then(|(_, wait)| seconds(*wait)),
        "age_seconds": one.age.as_secs_f64(),
        "decoding": one.decoding,
        "streamed": one.streamed,
        "prompt_bytes": one.prompt_bytes,
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
