//! Merges the lists of models of all upstreams into one, in Ollama's format.

#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    Upstreams,
    health::{self, Health, Told},
};
use crate::protocol::{Route, parse_timestamp};

/// A list that is merged from the lists of all upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// `GET /api/tags`: the installed models.
    Tags,
    /// `GET /api/ps`: the models in memory.
    Ps,
    /// `GET /v1/models`: the installed models, for OpenAI's clients.
    OpenAi,
}

impl List {
    /// The list that a request asks for. `model` is the model in its path, if it names one.
    #[must_use]
    pub(crate) fn of(route: Route, model: Option<&str>) -> Option<List> {
        match (route, model) {
            (Route::Tags, _) => Some(List::Tags),
            (Route::Ps, _) => Some(List::Ps),
            (Route::OpenaiModels, None) => Some(List::OpenAi),
            _ => None,
        }
    }
}

impl Upstreams {
    /// Whether the list consists of the lists of several upstreams. A single upstream answers the request itself.
    pub(crate) fn merges(&self) -> bool {
        self.all.len() > 1
    }

    /// The list of all upstreams that answer, as JSON. `keeps` says by its canonical name whether a model is shown.
    /// `None` if no upstream answers.
    pub(crate) async fn merged(
        &self,
        list: List,
        keeps: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Option<Vec<u8>> {
        self.freshen().await;
        // The primary upstream comes first, since it manages the models and decides what a name means.
        let primary = &self.all[self.primary];
        let others = self.all.iter().filter(|upstream| upstream.position() != primary.position());
        let healths: Vec<_> = [primary].into_iter().chain(others).map(|upstream| upstream.health()).collect();
        let merged = match list {
            List::Tags => json!({"models": tags(&told(&healths, |told| told.tags.as_deref())?, keeps)}),
            List::Ps => json!({"models": ps(&told(&healths, |told| told.ps.as_deref())?, keeps)}),
            List::OpenAi => openai(&tags(&told(&healths, |told| told.tags.as_deref())?, keeps)),
        };
        Some(merged.to_string().into_bytes())
    }
}

/// The lists of the upstreams that answered; `None` if no upstream did.
fn told(healths: &[Arc<Health>], of: fn(&Told) -> Option<&[Value]>) -> Option<Vec<&[Value]>> {
    let alive = healths.iter().filter(|health| health.alive);
    let told: Vec<_> = alive.filter_map(|health| of(&health.told)).collect();
    (!told.is_empty()).then_some(told)
}

/// Each name once, with the entry of the first upstream that has it. The newest comes first, as Ollama sorts.
fn tags(told: &[&[Value]], keeps: &dyn Fn(&str) -> bool) -> Vec<Value> {
    let mut models = by_name(told, keeps, |_, _| {});
    models.sort_by_key(|model| Reverse(seconds(model, "modified_at")));
    models
}

/// Each name once, with the memory of all copies and the latest expiry. The copy that stays longest comes first, as
/// Ollama sorts.
fn ps(told: &[&[Value]], keeps: &dyn Fn(&str) -> bool) -> Vec<Value> {
    let mut models = by_name(told, keeps, add);
    models.sort_by_key(|model| Reverse(seconds(model, "expires_at")));
    models
}

/// The first entry of each name that is kept, in order. `again` merges each further entry into it.
fn by_name(told: &[&[Value]], keeps: &dyn Fn(&str) -> bool, again: fn(&mut Value, &Value)) -> Vec<Value> {
    let mut models: Vec<Value> = Vec::new();
    let mut places = HashMap::new();
    for model in told.iter().copied().flatten() {
        let Some(name) = health::name(model).filter(|name| keeps(name)) else { continue };
        match places.entry(name) {
            Entry::Occupied(place) => again(&mut models[*place.get()], model),
            Entry::Vacant(place) => {
                place.insert(models.len());
                models.push(model.clone());
            }
        }
    }
    models
}

/// Adds another copy of a model to its entry.
fn add(known: &mut Value, copy: &Value) {
    for field in ["size", "size_vram"] {
        let size = |model: &Value| model.get(field).and_then(Value::as_u64);
        if let (Some(one), Some(other)) = (size(known), size(copy)) {
            known[field] = one.saturating_add(other).into();
        }
    }
    if seconds(copy, "expires_at") > seconds(known, "expires_at") {
        known["expires_at"] = copy["expires_at"].clone();
    }
}

/// The models in OpenAI's format.
fn openai(models: &[Value]) -> Value {
    let model = |model: &Value| {
        let id = model.get("name").or_else(|| model.get("model"));
        let created = seconds(model, "modified_at").unwrap_or_default();
        json!({"id": id, "object": "model", "created": created, "owned_by": owner(id)})
    };
    // An Ollama without models answers null.
    let data = if models.is_empty() { Value::Null } else { models.iter().map(model).collect() };
    json!({"object": "list", "data": data})
}

/// The part before the model's own name, without the host; `library` if there is none.
fn owner(id: Option<&Value>) -> &str {
    let name = id.and_then(Value::as_str).unwrap_or_default();
    let mut parts = name.rsplit('/').skip(1);
    parts.next().unwrap_or("library")
}

/// A time of an entry, in seconds since 1970.
fn seconds(model: &Value, field: &str) -> Option<i64> {
    let nanos = parse_timestamp(model.get(field)?.as_str()?.as_bytes())?;
    Some(nanos.div_euclid(1_000_000_000))
}
