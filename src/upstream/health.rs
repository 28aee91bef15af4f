//! What an Ollama said last of how it fares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::time::Instant;

use crate::protocol::{canonical_model, is_model_name};

/// What an Ollama said last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Health {
    /// It answered, whatever the answer.
    pub alive: bool,
    /// Why it did not; `None` while it does, and before it was asked.
    pub why: Option<String>,
    /// Its address leads back to this sidecar, so that no request may be sent there.
    pub is_loop: bool,
    /// When it was asked; `None` before it was.
    pub asked: Option<Instant>,
    /// Its version.
    pub version: Option<String>,
    /// The models on its disk, by canonical name, and how it spells them; `None` if it never said. What it said stays
    /// while it is down, and while `/api/tags` alone fails.
    pub installed: Option<BTreeMap<String, String>>,
    /// `installed` is what an earlier probe was told.
    pub is_stale: bool,
    /// The installed models that run elsewhere, by canonical name: Ollama passes requests for them on.
    pub remote: BTreeSet<String>,
    /// The models in its memory; `None` if it did not say. What it said stays while `/api/ps` alone fails.
    pub loaded: Option<Vec<Loaded>>,
    /// `loaded` is the answer to an earlier probe.
    pub is_loaded_stale: bool,
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
pub(crate) struct Loaded {
    /// Its name, spelled as the upstream spells it.
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
    /// Keeps the lists of the probe before, if this one was told none: a list that fails is not an empty one. An Ollama
    /// that does not answer at all may have ended, and then nothing is in its memory.
    pub(super) fn keep(&mut self, before: &Health) {
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

    /// The model is on its disk, as far as is known.
    #[must_use]
    pub(crate) fn has(&self, model: &str) -> bool {
        self.listed(model).flatten().is_some()
    }

    /// How the upstream spells a model, by canonical name: `None` if it never said which models it has, `Some(None)` if
    /// this model is not among them.
    #[must_use]
    pub(crate) fn listed(&self, model: &str) -> Option<Option<&str>> {
        Some(self.installed.as_ref()?.get(model).map(String::as_str))
    }

    /// The model is in its memory, as far as is known.
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

/// The name of an entry as it came. A text that cannot be a name must not reach a label.
pub(super) fn spelled(model: &Value) -> Option<&str> {
    model.get("model").or_else(|| model.get("name"))?.as_str().filter(|name| is_model_name(name))
}
