//! Asks each Ollama how it fares, and keeps what it said. Nobody else polls it.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Response;
use serde_json::Value;
use tokio::time::Instant;

use super::{Upstream, UpstreamConfig};
use crate::protocol::canonical_model;

/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A longer answer is not read: a list of thousands of models is a few MiB.
const MAX_ANSWER: usize = 16 << 20;

/// What an Ollama said last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// It answered, whatever the answer.
    pub alive: bool,
    /// Its version.
    pub version: Option<String>,
    /// The models on its disk, by canonical name; `None` if it never said. What it said stays while it is down.
    pub installed: Option<BTreeSet<String>>,
    /// The models in its memory; `None` if it did not say.
    pub loaded: Option<Vec<Loaded>>,
    /// The entries of `/api/tags` and of `/api/ps` as they came.
    pub(super) told: Told,
}

/// What it answered, entry by entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) tags: Option<Vec<Value>>,
    pub(super) ps: Option<Vec<Value>>,
}

/// A model in memory, as `/api/ps` tells it. What it leaves out is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Canonical name.
    pub model: String,
    /// All of its memory, bytes.
    pub size: Option<u64>,
    /// The part of it on a GPU, bytes.
    pub vram: Option<u64>,
    /// Tokens of its context.
    pub context_length: Option<u64>,
    /// When it is unloaded unless it is used: RFC 3339, as it came.
    pub expires_at: Option<String>,
}

impl Health {
    /// The model is on its disk, as far as is known.
    #[must_use]
    pub fn has(&self, model: &str) -> bool {
        self.installed.as_ref().is_some_and(|installed| installed.contains(model))
    }

    /// The model is in its memory, as far as is known.
    #[must_use]
    pub fn has_loaded(&self, model: &str) -> bool {
        self.loaded.iter().flatten().any(|loaded| loaded.model == model)
    }

    #[cfg(test)]
    pub(super) fn for_test(alive: bool, installed: &[&str], loaded: &[&str]) -> Health {
        let loaded = loaded.iter().map(|model| Loaded {
            model: (*model).to_owned(),
            size: None,
            vram: None,
            context_length: None,
            expires_at: None,
        });
        Health {
            alive,
            version: None,
            installed: Some(installed.iter().map(|model| (*model).to_owned()).collect()),
            loaded: Some(loaded.collect()),
            told: Told::default(),
        }
    }
}

/// There is no client to ask with.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a client to probe upstreams with: {0}")]
pub struct NoProber(#[from] reqwest::Error);

/// Asks; shared by all upstreams.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    client: reqwest::Client,
}

impl Prober {
    pub(super) fn new(config: &super::Config) -> Result<Prober, NoProber> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            .timeout(TIMEOUT)
            // Connections of their own show whether new ones are taken, and go where the name leads now.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Prober { client })
    }

    /// Asks one upstream, for ever, and says so when it comes or goes.
    pub(super) async fn watch(self, upstream: &Upstream, config: UpstreamConfig, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_alive = None;
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = upstream.probing.wanted() => {} }
            let began = Instant::now();
            let mut health = self.ask(&config).await;
            if !health.alive {
                health.installed = upstream.health().installed.clone();
            }
            if was_alive.replace(health.alive) != Some(health.alive) {
                let (upstream, version) = (upstream.name(), health.version.as_deref().unwrap_or("unknown"));
                if health.alive {
                    tracing::info!(upstream, version, "the upstream answers");
                } else {
                    tracing::warn!(upstream, url = %config.url, "the upstream does not answer");
                }
            }
            upstream.report(health);
            upstream.probing.answered(began);
        }
    }

    async fn ask(&self, config: &UpstreamConfig) -> Health {
        let Ok(response) = self.get(config, "/api/version").await else { return Health::default() };
        let version = read(response).await.and_then(|body| Some(body.get("version")?.as_str()?.to_owned()));
        let (tags, ps) = tokio::join!(self.json(config, "/api/tags"), self.json(config, "/api/ps"));
        let told = Told { tags: tags.and_then(models), ps: ps.and_then(models) };
        Health {
            alive: true,
            version,
            installed: told.tags.as_ref().map(|models| models.iter().filter_map(name).collect()),
            loaded: told.ps.as_ref().map(|models| models.iter().filter_map(loaded).collect()),
            told,
        }
    }

    async fn get(&self, config: &UpstreamConfig, path: &str) -> reqwest::Result<Response> {
        let mut url = config.url.clone();
        url.set_path(path);
        self.client.get(url).send().await
    }

    async fn json(&self, config: &UpstreamConfig, path: &str) -> Option<Value> {
        let response = self.get(config, path).await.ok()?;
        if response.status().is_success() { read(response).await } else { None }
    }
}

/// A JSON body of bounded length.
async fn read(mut response: Response) -> Option<Value> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).ok()
}

/// `models` of an answer; null, which an empty Ollama says, is none of them.
fn models(mut answer: Value) -> Option<Vec<Value>> {
    match answer.get_mut("models")?.take() {
        Value::Array(models) => Some(models),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

/// The canonical name of an entry.
pub(super) fn name(model: &Value) -> Option<String> {
    let name = model.get("model").or_else(|| model.get("name"))?.as_str()?;
    Some(canonical_model(name).into_owned())
}

fn loaded(model: &Value) -> Option<Loaded> {
    let number = |key| model.get(key).and_then(Value::as_u64);
    Some(Loaded {
        model: name(model)?,
        size: number("size"),
        vram: number("size_vram"),
        context_length: number("context_length"),
        expires_at: model.get("expires_at").and_then(Value::as_str).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_ollama_has_no_models_and_nonsense_says_nothing() {
        let count = |answer: Value| models(answer).map(|models| models.len());
        assert_eq!(count(json!({"models": null})), Some(0));
        assert_eq!(count(json!({"models": [{}, {}]})), Some(2));
        assert_eq!(count(json!({"models": "many"})), None);
        assert_eq!(count(json!([])), None);
    }

    #[test]
    fn what_ps_leaves_out_is_unknown_and_not_zero() {
        let told = loaded(&json!({"name": "library/m", "size": 5, "size_vram": 0})).unwrap();
        assert_eq!(
            (told.model.as_str(), told.size, told.vram, told.context_length),
            ("m:latest", Some(5), Some(0), None)
        );
        assert_eq!(loaded(&json!({"size": 5})), None);
    }
}
