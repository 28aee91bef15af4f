//! The version of an Ollama, and its models.

use std::{collections::BTreeSet, time::Duration};

use reqwest::{Client, Url, redirect};
use serde::Deserialize;

use super::{plan::Plan, recording::Upstream};
use streamgauge_meter::protocol::{canonical_model, short_model};
use streamgauge_tls as tls;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    digest: String,
}

/// Asks the Ollama with this name. An error says that it does not answer, or that it lacks a model.
pub(super) async fn ask(plan: &Plan, name: &str) -> Result<Upstream, String> {
    let url = &plan.upstreams[name];
    let shown = &plan.for_recording().upstreams[name];
    let explain = |error: reqwest::Error| {
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        format!("{name} at {shown} does not answer as an Ollama does: {cause}")
    };
    let base = Url::parse(url).map_err(|error| format!("{name}: {error}"))?;
    let join = |path: &str| base.join(path).map_err(|error| format!("{name}: {error}"));
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(PATIENCE);
    let client =
        tls::by_system(client, base.scheme() == "https").map_err(|error| format!("{name}: {error}"))?;
    let client = client.build().map_err(explain)?;
    let get = async |path: &str| {
        client.get(join(path)?).send().await.and_then(|answer| answer.error_for_status()).map_err(explain)
    };
    let version: Version = get("/api/version").await?.json().await.map_err(explain)?;
    let tags: Tags = get("/api/tags").await?.json().await.map_err(explain)?;
    let mut upstream = Upstream { url: shown.clone(), version: Some(version.version), ..Upstream::default() };
    let wanted: BTreeSet<String> = plan
        .roles
        .iter()
        .filter(|role| role.upstream == name)
        .map(|role| short_model(&role.model).into_owned())
        .collect();
    for model in wanted {
        let key = canonical_model(&model);
        let found = tags.models.iter().find(|tag| canonical_model(&tag.name) == key);
        let Some(tag) = found else {
            let mut known: Vec<&str> = tags.models.iter().map(|tag| tag.name.as_str()).collect();
            known.sort_unstable();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(format!(
                "{name} at {shown} has no model {model}: pull it, or name another with --model; it has {known}"
            ));
        };
        upstream.models.insert(model, tag.digest.clone());
    }
    Ok(upstream)
}
