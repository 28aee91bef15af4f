//! Probes each upstream and keeps the result. No other module polls an upstream.

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

/// The time limit of a response to a probe.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest accepted response in bytes. A list of thousands of models is a few MiB.
const MAX_ANSWER: usize = 16 << 20;

/// The reason shown for an upstream whose address leads back to the sidecar.
const LOOP: &str = "its address leads back to this sidecar: set it to the address of an Ollama";

/// The client that probes upstreams cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the HTTP client that probes upstreams: {0}")]
pub struct NoProber(#[from] reqwest::Error);

/// Probes one upstream.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    client: reqwest::Client,
    connect_timeout: Duration,
    instance: Instance,
    /// The verification that the client uses; `None`: the connection is plain.
    trust: Option<Trust>,
    /// The count of address changes of the upstream's name when the client was created.
    moves: u64,
}

/// A list that is requested, and whether the last probe had to keep an earlier one.
struct AskedList {
    path: &'static str,
    was_stale: bool,
}

impl AskedList {
    /// Logs when the list begins to fail, and when it works again.
    fn note(&mut self, upstream: &str, is_alive: bool, is_stale: bool) {
        let (path, is_stale) = (self.path, is_alive && is_stale);
        if std::mem::replace(&mut self.was_stale, is_stale) == is_stale {
            return;
        }
        if is_stale {
            tracing::warn!(upstream, path, "the upstream did not list its models; keeping its last list");
        } else if is_alive {
            tracing::info!(upstream, path, "the upstream listed its models again");
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

    /// Applies the present verification, and connects to the present address of the name.
    fn renew(&mut self, upstream: &Upstream) {
        let moves = upstream.moves();
        if upstream.peer().map(Peer::trust) == self.trust && moves == self.moves {
            return;
        }
        match Prober::new(upstream.peer(), self.connect_timeout, &self.instance) {
            Ok(prober) => *self = Prober { moves, ..prober },
            Err(error) => {
                tracing::warn!(upstream = upstream.name(), %error, "failed to apply the new TLS settings to probes; keeping the previous ones")
            }
        }
    }

    /// Probes the upstream at this URL and never ends. Logs when the upstream begins or ceases to answer.
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
                    None => tracing::info!(upstream, version, "the upstream answered"),
                    Some(why) => tracing::warn!(upstream, %url, why, "the upstream did not answer"),
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
            down_since: None,
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

/// The first cause, since the errors around it say only that a request was sent, and where.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no response within 5 s".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Reads a JSON body of limited length.
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

/// The array `models` of a response. An Ollama without models answers null.
fn models(mut answer: Value) -> Option<Vec<Value>> {
    match answer.get_mut("models")?.take() {
        Value::Array(models) => Some(models),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

/// Whether the entry only refers to a model that runs elsewhere.
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
    #[tokio::test(start_paused = true)]
    async fn unanswered_upstream_is_down_since_first_of_the_probes_in_a_row() {
        let began = Instant::now();
        let mut last = Health { alive: true, asked: Some(began), ..Health::default() };
        let mut probed = Vec::new();
        for alive in [false, false, true, false] {
            tokio::time::advance(Duration::from_secs(5)).await;
            let mut health = Health { alive, asked: Some(Instant::now()), ..Health::default() };
            health.keep(&last);
            probed.push(health.down_since.map(|since| (since - began).as_secs()));
            last = health;
        }
        assert_eq!(probed, [Some(5), Some(5), None, Some(20)]);
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
