//! The last loads of models that requests reported, for `/overview`.

use serde_json::{Value, json};

use crate::meter::{Meter, NotedLoad};

/// The newest of them, at most `most`.
pub(super) fn newest(meter: &Meter, most: usize) -> Vec<Value> {
    meter.noted_loads(most).iter().map(load).collect()
}

fn load(noted: &NotedLoad) -> Value {
    let load = &noted.load;
    json!({
        "ago_seconds": noted.at.elapsed().as_secs_f64(),
        "model": noted.model,
        "upstream": noted.upstream,
        "cause": load.cause.label(),
        "caller": load.caller.as_deref(),
        "earlier_caller": load.earlier_caller.as_deref(),
        "expired_after_seconds": load.expired_after.map(|time| time.as_secs_f64()),
        "option": load.difference.map(|difference| difference.option),
        "evicted_by": load.evicted_by,
    })
}
