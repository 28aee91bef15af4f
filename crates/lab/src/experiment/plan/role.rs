//! An agent of a plan: its name and its request.

use serde::{Deserialize, Serialize};

/// The request of an agent. It does the same work alone and together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: String,
    /// The name of its Ollama.
    pub(crate) upstream: String,
    /// The model.
    pub(crate) model: String,
    /// The route.
    pub(crate) route: Route,
    /// `num_predict`.
    pub(crate) tokens: u32,
    /// The prompt. `None` in a recording without text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<String>,
    /// The SHA-256 of the prompt, in a recording without text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_sha256: Option<String>,
    /// Options for Ollama, such as `temperature`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub(crate) options: toml::Table,
}

/// A route of Ollama that streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Route {
    /// `/api/generate`.
    #[default]
    Generate,
    /// `/api/chat`.
    Chat,
}

impl Route {
    /// Returns its path.
    #[must_use]
    pub(crate) fn path(self) -> &'static str {
        match self {
            Route::Generate => "/api/generate",
            Route::Chat => "/api/chat",
        }
    }
}

impl Role {
    /// Returns the body of its request.
    #[must_use]
    pub(crate) fn body(&self) -> serde_json::Value {
        let mut options = serde_json::Map::new();
        for (name, value) in &self.options {
            // TOML has dates and JSON does not. `check` refuses them.
            options.insert(name.clone(), serde_json::to_value(value).unwrap_or_default());
        }
        options.insert("num_predict".into(), self.tokens.into());
        let prompt = self.prompt.as_deref().unwrap_or_default();
        match self.route {
            Route::Generate => serde_json::json!({
                "model": self.model, "prompt": prompt, "stream": true, "options": options,
            }),
            Route::Chat => serde_json::json!({
                "model": self.model, "messages": [{"role": "user", "content": prompt}], "stream": true,
                "options": options,
            }),
        }
    }
}
