//! The last known state of an Ollama.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::time::Instant;

use crate::protocol::{canonical_model, is_model_name};

/// The result of the last probe of an upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Health {
    /// The upstream answered, with any status.
    pub alive: bool,
    /// Why the upstream did not answer; `None` if it did or was not probed yet.
    pub why: Option<String>,
    /// The time of the first of the probes in a row that were not answered; `None` if the last one was.
    pub down_since: Option<Instant>,
    /// The address leads back to this sidecar, so that no request may be sent there.
    pub is_loop: bool,
    /// The time of the probe; `None` before the first one.
    pub asked: Option<Instant>,
    /// The version of Ollama.
    pub version: Option<String>,
    /// The installed models: their canonical names, and the upstream's own spelling; `None` if no probe has got the
    /// list. The list of an earlier probe is kept while the upstream is down or `/api/tags` fails.
    pub installed: Option<BTreeMap<String, String>>,
    /// `installed` is the list of an earlier probe.
    pub is_stale: bool,
    /// The canonical names of installed models that run elsewhere: Ollama passes requests for them on.
    pub remote: BTreeSet<String>,
    /// The models in memory; `None` if no probe has got the list. The list of an earlier probe is kept while only
    /// `/api/ps` fails.
    pub loaded: Option<Vec<Loaded>>,
    /// `loaded` is the list of an earlier probe.
    pub is_loaded_stale: bool,
    /// The entries of `/api/tags` and of `/api/ps`, unchanged.
    pub(super) told: Told,
}

/// The upstream's lists of models, entry by entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) tags: Option<Vec<Value>>,
    pub(super) ps: Option<Vec<Value>>,
}

/// A model in memory, from `/api/ps`. A missing value is `None`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loaded {
    /// The name in the upstream's spelling.
    pub model: String,
    /// The memory that the model uses, in bytes.
    pub size: Option<u64>,
    /// The part of the memory that is on a GPU, in bytes.
    pub vram: Option<u64>,
    /// The size of its context in tokens.
    pub context_length: Option<u64>,
    /// The time at which the model is unloaded unless it is used, in RFC 3339 and unchanged.
    pub expires_at: Option<String>,
}

impl Health {
    /// Keeps the time since which probes are not answered, and the lists of the earlier probe if this one got none, since a list that fails is not empty. If the
    /// upstream does not answer at all, it may have ended, and then no model is in its memory.
    pub(super) fn keep(&mut self, before: &Health) {
        if !self.alive {
            self.down_since = before.down_since.or(self.asked);
        }
        if self.installed.is_none() && before.installed.is_some() {
            self.installed = before.installed.clone();
            self.remote = before.remote.clone();
            self.told.tags = before.told.tags.clone();
            self.is_stale = true;
        }
        if self.alive && self.loaded.is_none() && before.loaded.is_some() {
            self.loaded = before.loaded.clone();
            self.told.ps = before.told.ps.clone();
            self.is_loaded_stale = true;
        }
    }

    /// Whether the model is known to be installed.
    #[must_use]
    pub(crate) fn has(&self, model: &str) -> bool {
        self.listed(model).flatten().is_some()
    }

    /// The upstream's spelling of a model, by canonical name: `None` if its list is unknown, `Some(None)` if the
    /// model is not in the list.
    #[must_use]
    pub(crate) fn listed(&self, model: &str) -> Option<Option<&str>> {
        Some(self.installed.as_ref()?.get(model).map(String::as_str))
    }

    /// Whether the model is known to be in memory.
    #[must_use]
    pub(crate) fn has_loaded(&self, model: &str) -> bool {
        self.loaded.iter().flatten().any(|loaded| canonical_model(&loaded.model) == model)
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
            why: None,
            down_since: None,
            is_loop: false,
            asked: None,
            version: None,
            remote: BTreeSet::new(),
            installed: Some(
                installed.iter().map(|model| ((*model).to_owned(), (*model).to_owned())).collect(),
            ),
            is_stale: false,
            loaded: Some(loaded.collect()),
            is_loaded_stale: false,
            told: Told::default(),
        }
    }
}

/// The canonical name of an entry.
pub(super) fn name(model: &Value) -> Option<String> {
    spelled(model).map(|name| canonical_model(name).into_owned())
}

/// The name of an entry, unchanged. A text that cannot be a name must not become a label.
pub(super) fn spelled(model: &Value) -> Option<&str> {
    model.get("model").or_else(|| model.get("name"))?.as_str().filter(|name| is_model_name(name))
}
