//! Method and decoded path, classified into a closed list.

/// How a route's errors and streams are shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `/api/…`: NDJSON, `{"error":"…"}`.
    Ollama,
    /// `/v1/…`: SSE, `{"error":{"message":…}}`.
    OpenAi,
    /// `/v1/messages`: SSE, `{"type":"error","error":{…}}`.
    Anthropic,
}

/// A route of Ollama, or `Other`. Its label is what metrics, access lists and logs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the labels say it")]
pub enum Route {
    Generate,
    Chat,
    Embed,
    Embeddings,
    OpenaiChat,
    OpenaiCompletions,
    OpenaiResponses,
    OpenaiEmbeddings,
    OpenaiModels,
    AnthropicMessages,
    Tags,
    Ps,
    Version,
    Show,
    Pull,
    Push,
    Create,
    Blobs,
    Copy,
    Delete,
    Root,
    Other,
}

impl Route {
    /// The route of a request: its method, and its path as it came (percent-encoded, no query).
    #[must_use]
    pub fn classify(_method: &str, _path: &str) -> Route {
        Route::Other
    }

    /// The value of the label `route`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        "other"
    }

    /// The dialect of its errors and streams.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        Dialect::Ollama
    }

    /// It makes the GPU work: it takes a place at an upstream.
    #[must_use]
    pub const fn takes_slot(self) -> bool {
        false
    }

    /// It generates tokens (an embedding does not, though it takes a place).
    #[must_use]
    pub const fn generates(self) -> bool {
        false
    }

    /// Its requests name a model.
    #[must_use]
    pub const fn has_model(self) -> bool {
        false
    }
}
