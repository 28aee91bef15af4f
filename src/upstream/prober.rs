//! Asks each Ollama how it fares, and keeps what it said. Nobody else polls it.

use std::{error::Error, time::Duration};

use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    Health, Hook, Loaded, Upstream,
    health::{Told, name, spelled},
    instance::Instance,
};
use crate::{
    protocol::short_model,
    tls::{self, Peer, Trust},
};

/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A longer answer is not read: a list of thousands of models is a few MiB.
const MAX_ANSWER: usize = 16 << 20;

/// Why an upstream that is the sidecar itself does not answer.
const LOOP: &str = "its address leads back to this sidecar: set it to the address of an Ollama";

/// There is no client to ask with.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a client to probe upstreams with: {0}")]
pub struct NoProber(#[from] reqwest::Error);

/// Asks one upstream.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    client: reqwest::Client,
    connect_timeout: Duration,
    instance: Instance,
    /// How the client verifies; `None`: the upstream is plain.
    trust: Option<Trust>,
    /// Of the upstream's name, when the first connection was made.
    moves: u64,
}

/// A list that is asked for, and whether the last one that was told is kept.
struct AskedList {
    path: &'static str,
    was_stale: bool,
}

impl AskedList {
    /// Tells the log when the list begins to fail, and when it is told again.
    fn note(&mut self, upstream: &str, is_alive: bool, is_stale: bool) {
        let (path, is_stale) = (self.path, is_alive && is_stale);
        if std::mem::replace(&mut self.was_stale, is_stale) == is_stale {
            return;
        }
        if is_stale {
            tracing::warn!(upstream, path, "the upstream did not list its models: its last list is kept");
        } else if is_alive {
            tracing::info!(upstream, path, "the upstream lists its models again");
        }
    }
}

impl Prober {
    pub(super) fn new(
        peer: Option<&Peer>,
        connect_timeout: Duration,
        instance: &Instance,
    ) -> Result<Prober, NoProber> {
        let trust = peer.map(Peer::trust);
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(instance.fields())
            .connect_timeout(connect_timeout)
            .timeout(TIMEOUT);
        let client = tls::prepare(builder, trust.as_ref()).build()?;
        Ok(Prober { client, connect_timeout, instance: instance.clone(), trust, moves: 0 })
    }

    /// Verifies as is wanted now, and goes where the name leads now.
    fn renew(&mut self, upstream: &Upstream) {
        let moves = upstream.moves();
        if upstream.peer().map(Peer::trust) == self.trust && moves == self.moves {
            return;
        }
        match Prober::new(upstream.peer(), self.connect_timeout, &self.instance) {
            Ok(prober) => *self = Prober { moves, ..prober },
            Err(error) => {
                tracing::warn!(upstream = upstream.name(), %error, "cannot use the new TLS settings for probes: keeping the previous ones")
            }
        }
    }

    /// Asks it at this URL, for ever, and says so when it comes or goes.
    pub(super) async fn watch(mut self, upstream: &Upstream, url: Url, every: Duration, hook: &Hook) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was = None;
        let mut lists = ["/api/tags", "/api/ps"].map(|path| AskedList { path, was_stale: false });
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = upstream.probing.wanted() => {} }
            let began = Instant::now();
            self.renew(upstream);
            let mut health = Health { asked: Some(began), ..self.ask(&url).await };
            health.keep(&upstream.health());
            if was.as_ref() != Some(&(health.alive, health.why.clone())) {
                let (upstream, version) = (upstream.name(), health.version.as_deref().unwrap_or("unknown"));
                match &health.why {
                    None => tracing::info!(upstream, version, "the upstream answers"),
                    Some(why) => tracing::warn!(upstream, %url, why, "the upstream does not answer"),
                }
                was = Some((health.alive, health.why.clone()));
            }
            for (list, is_stale) in lists.iter_mut().zip([health.is_stale, health.is_loaded_stale]) {
                list.note(upstream.name(), health.alive, is_stale);
            }
            upstream.report(health);
            hook.probed(upstream);
            upstream.probing.answered(began);
        }
    }

    async fn ask(&self, url: &Url) -> Health {
        let response = match self.get(url, "/api/version").await {
            Ok(response) => response,
            Err(error) => return Health { why: Some(why(&error)), ..Health::default() },
        };
        if response.status() == StatusCode::LOOP_DETECTED {
            return Health { why: Some(LOOP.to_owned()), is_loop: true, ..Health::default() };
        }
        let version = read(response).await.and_then(|body| Some(body.get("version")?.as_str()?.to_owned()));
        let (tags, ps) = tokio::join!(self.json(url, "/api/tags"), self.json(url, "/api/ps"));
        let told = Told { tags: tags.and_then(models), ps: ps.and_then(models) };
        Health {
            alive: true,
            why: None,
            is_loop: false,
            asked: None,
            version,
            installed: told.tags.as_ref().map(|models| models.iter().filter_map(installed).collect()),
            is_stale: false,
            remote: told.tags.iter().flatten().filter(|model| is_remote(model)).filter_map(name).collect(),
            loaded: told.ps.as_ref().map(|models| models.iter().filter_map(loaded).collect()),
            is_loaded_stale: false,
            told,
        }
    }

    async fn get(&self, url: &Url, path: &str) -> reqwest::Result<Response> {
        let mut url = url.clone();
        url.set_path(path);
        self.client.get(url).send().await
    }

    async fn json(&self, url: &Url, path: &str) -> Option<Value> {
        let response = self.get(url, path).await.ok()?;
        if response.status().is_success() { read(response).await } else { None }
    }
}

/// The first cause: what wraps it says only that a request was sent, and where.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it is too slow".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
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

/// The entry is no more than where its model runs.
fn is_remote(model: &Value) -> bool {
    model.get("remote_host").and_then(Value::as_str).is_some_and(|host| !host.is_empty())
}

fn installed(model: &Value) -> Option<(String, String)> {
    Some((name(model)?, short_model(spelled(model)?).into_owned()))
}

fn loaded(model: &Value) -> Option<Loaded> {
    let number = |key| model.get(key).and_then(Value::as_u64);
    Some(Loaded {
        model: short_model(spelled(model)?).into_owned(),
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
    use crate::protocol::canonical_model;

    #[test]
    fn empty_model_list_is_empty_and_malformed_list_is_ignored() {
        let count = |answer: Value| models(answer).map(|models| models.len());
        assert_eq!(count(json!({"models": null})), Some(0));
        assert_eq!(count(json!({"models": [{}, {}]})), Some(2));
        assert_eq!(count(json!({"models": "many"})), None);
        assert_eq!(count(json!([])), None);
    }

    #[test]
    fn fields_missing_in_ps_are_unknown_and_not_zero() {
        let told = loaded(&json!({"name": "library/m", "size": 5, "size_vram": 0})).unwrap();
        assert_eq!(
            (told.model.as_str(), told.size, told.vram, told.context_length),
            ("m:latest", Some(5), Some(0), None)
        );
        assert_eq!(loaded(&json!({"size": 5})), None);
    }
    #[test]
    fn model_is_found_in_any_spelling_and_keeps_its_listed_one() {
        let health = Health {
            installed: Some(installed(&json!({"name": "hf.co/Ada/M:Q4"})).into_iter().collect()),
            loaded: Some(loaded(&json!({"name": "hf.co/Ada/M:Q4"})).into_iter().collect()),
            ..Health::default()
        };
        for name in ["hf.co/ada/m:q4", "HF.co/Ada/M:Q4", "https://hf.co/Ada/M:Q4"] {
            let model = canonical_model(name);
            assert_eq!(health.listed(&model), Some(Some("hf.co/Ada/M:Q4")), "{name}");
            assert!(health.has(&model) && health.has_loaded(&model), "{name}");
        }
        assert_eq!(health.listed("ada/m:q4"), Some(None));
        assert_eq!(Health::default().listed("ada/m:q4"), None);
        assert_eq!(installed(&json!({"name": "a\nb"})), None);
    }
}
