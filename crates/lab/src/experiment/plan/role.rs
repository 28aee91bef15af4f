//! An agent as a plan describes it: one name, one piece of work.

use serde::{Deserialize, Serialize};

/// What an agent asks. Alone and together it does the same work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The name of the Ollama it asks.
    pub upstream: String,
    /// The model.
    pub model: String,
    /// How it asks.
    pub route: Route,
    /// `num_predict`.
    pub tokens: u32,
    /// What it asks. Absent in a recording that keeps no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// SHA-256 of the prompt, in a recording that keeps no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_sha256: Option<String>,
    /// Options for Ollama, such as `temperature`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub options: toml::Table,
}

/// A route of Ollama that streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// `/api/generate`.
    #[default]
    Generate,
    /// `/api/chat`.
    Chat,
}

impl Route {
    /// Its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Route::Generate => "/api/generate",
            Route::Chat => "/api/chat",
        }
    }
}

impl Role {
    /// The body of its request.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        let mut options = serde_json::Map::new();
        for (name, value) in &self.options {
            // TOML has dates and JSON has none; `check` refuses them.
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
