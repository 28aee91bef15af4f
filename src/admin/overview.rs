//! `/overview`: the data of the page, as JSON. It never contains a prompt.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Admin, loads, requests, streams};
use crate::{
    meter::Snapshot,
    store::SharedStatus,
    upstream::{Health, Upstream},
};

/// The most streams that are listed, the oldest first. The counts include the others, and `/streams` lists all of
/// them.
const MOST_STREAMS: usize = 50;

/// The most requests that failed or were slow that are listed, the newest first. `/requests` lists all that are kept.
const MOST_REQUESTS: usize = 50;

/// The most loads of models that are listed, the newest first.
const MOST_LOADS: usize = 50;

/// Renders the data. The query `?began=…&after=…` says which points of the history the page has already, and `range=…`
/// how many seconds the figures of the range cover.
pub(super) fn render(admin: &Admin, query: &str) -> String {
    let value = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
    };
    let mut overview =
        admin.history.render(value("began"), value("after").unwrap_or_default(), value("range"));
    overview["version"] = json!(env!("CARGO_PKG_VERSION"));
    overview["metrics_read_seconds"] = json!(admin.scraped.ago());
    overview["clients"] = admin.clients.render();
    overview["draining"] = json!(admin.draining.is_cancelled());
    overview["upstreams"] =
        admin.upstreams.all().iter().map(|upstream| of_upstream(admin, upstream)).collect::<Vec<_>>().into();
    overview["shared"] = admin.store.as_ref().map_or(Value::Null, |store| {
        let SharedStatus { mode, why, lasts, sidecars } = store.status();
        json!({ "mode": mode, "why": why, "since_seconds": lasts.as_secs_f64(), "sidecars": sidecars })
    });
    overview["streams"] = of_streams(admin);
    overview["loads"] = loads::newest(&admin.meter, MOST_LOADS).into();
    overview["requests"] = requests::newest(&admin.meter, MOST_REQUESTS).into();
    let mut text = overview.to_string();
    text.push('\n');
    text
}

fn of_upstream(admin: &Admin, upstream: &Upstream) -> Value {
    let health = upstream.health();
    let loaded = health.loaded.as_ref().map(|models| models.iter().map(|one| &one.model).collect::<Vec<_>>());
    json!({
        "name": upstream.name(),
        "address": upstream.authority().as_str(),
        "alive": health.alive,
        "why": health.why,
        "down_seconds": health.down_since.map(|since| since.elapsed().as_secs_f64()),
        "wedged": upstream.is_wedged(),
        "wedged_seconds": upstream.wedged_since().map(|since| since.elapsed().as_secs_f64()),
        "since_chunk_seconds": admin.meter.since_chunk(upstream.name()).map(|since| since.as_secs_f64()),
        "version": health.version,
        "loaded": loaded,
        "model": suggested(&health),
        "loaded_stale": health.is_loaded_stale,
        "models_stale": health.is_stale,
        "found_limit": upstream.found_limit().map(|(limit, _)| limit),
        "found_limit_reason": upstream.found_limit().map(|(_, reason)| reason),
    })
}

/// A model for the command that the page suggests: one in memory, else the first on the list.
fn suggested(health: &Health) -> Option<&str> {
    let loaded = health.loaded.iter().flatten().map(|one| one.model.as_str()).next();
    loaded.or_else(|| health.installed.as_ref()?.values().next().map(String::as_str))
}

/// The number of running streams by a label. It counts all streams, not only the listed ones.
fn by(running: &[Snapshot], label: impl Fn(&Snapshot) -> Option<&str>) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in running.iter().filter_map(label) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn of_streams(admin: &Admin) -> Value {
    let mut running = admin.meter.live();
    running.retain(|one| one.route.generates());
    let decoding = running.iter().filter(|one| one.decoding).count();
    let unanswered = running.iter().filter(|one| one.records == 0).count();
    let places = admin.queue.places();
    json!({
        "running": running.len(),
        "decoding": decoding,
        "without_a_record": unanswered,
        "queued": running.iter().filter(|one| places.contains_key(&one.id.number())).count(),
        "by_model": by(&running, |one| one.model.as_deref()),
        "by_upstream": by(&running, |one| one.upstream.as_deref()),
        "by_caller": by(&running, |one| one.caller.as_deref()),
        "shown": running.iter().take(MOST_STREAMS).map(|one| streams::stream(one, &places)).collect::<Vec<_>>(),
    })
}
