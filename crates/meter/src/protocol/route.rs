//! Classifies a request by its method and decoded path into a closed list of routes.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::name::is_model_name;

/// The dialect of a route, which decides the format of its errors and streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `/api/…`: NDJSON, `{"error":"…"}`.
    Ollama,
    /// `/v1/…`: SSE, `{"error":{"message":…}}`.
    OpenAi,
    /// `/v1/messages`: SSE, `{"type":"error","error":{…}}`.
    Anthropic,
}

/// A route of Ollama, or `Other`. Metrics, access lists and logs use its label.
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
    OpenaiTranscriptions,
    OpenaiResponsesCompact,
    OpenaiImagesGenerations,
    OpenaiImagesEdits,
    AnthropicMessages,
    V1Other,
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
    Status,
    Me,
    Signout,
    UserKeys,
    Experimental,
    Root,
    Other,
}

/// The path under which Ollama 0.34 serves Codex. A path as under `/v1` follows.
const CODEX: &[u8] = b"/api/codex/";

impl Dialect {
    /// Returns the dialect that a client of this path expects, whether the path is a route or not. The path is
    /// percent-encoded.
    #[must_use]
    pub fn of(path: &str) -> Dialect {
        let decoded = decode(path);
        let path = decoded.as_deref().unwrap_or(path.as_bytes());
        if path.starts_with(CODEX) {
            return Dialect::OpenAi;
        }
        let Some(rest) = path.strip_prefix(b"/v1/") else { return Dialect::Ollama };
        match rest.strip_prefix(b"messages") {
            Some([] | [b'/', ..]) => Dialect::Anthropic,
            _ => Dialect::OpenAi,
        }
    }
}

impl Route {
    /// Every route, in the order of [`Route::index`].
    pub const ALL: [Route; 32] = [
        Route::Generate,
        Route::Chat,
        Route::Embed,
        Route::Embeddings,
        Route::OpenaiChat,
        Route::OpenaiCompletions,
        Route::OpenaiResponses,
        Route::OpenaiEmbeddings,
        Route::OpenaiModels,
        Route::OpenaiTranscriptions,
        Route::OpenaiResponsesCompact,
        Route::OpenaiImagesGenerations,
        Route::OpenaiImagesEdits,
        Route::AnthropicMessages,
        Route::V1Other,
        Route::Tags,
        Route::Ps,
        Route::Version,
        Route::Show,
        Route::Pull,
        Route::Push,
        Route::Create,
        Route::Blobs,
        Route::Copy,
        Route::Delete,
        Route::Status,
        Route::Me,
        Route::Signout,
        Route::UserKeys,
        Route::Experimental,
        Route::Root,
        Route::Other,
    ];

    /// Returns the route of a request from its method and its percent-encoded path without a query.
    ///
    /// Ollama matches the decoded path, and this function does too. A path that Ollama would redirect (`//`, `..`, a
    /// trailing slash), refuse (405, a broken escape) or not know is [`Route::Other`], with one exception: a POST
    /// below `/v1` or `/api/codex` may generate, and is [`Route::V1Other`].
    #[must_use]
    pub fn classify(method: &str, path: &str) -> Route {
        decode(path).map_or(Route::Other, |path| Route::of_decoded(method, &path))
    }

    fn of_decoded(method: &str, path: &[u8]) -> Route {
        match (method, path) {
            ("POST", b"/api/generate") => Route::Generate,
            ("POST", b"/api/chat") => Route::Chat,
            ("POST", b"/api/embed") => Route::Embed,
            ("POST", b"/api/embeddings") => Route::Embeddings,
            ("POST", b"/v1/chat/completions") => Route::OpenaiChat,
            ("POST", b"/v1/completions") => Route::OpenaiCompletions,
            ("POST", b"/v1/responses") => Route::OpenaiResponses,
            ("POST", b"/v1/embeddings") => Route::OpenaiEmbeddings,
            ("POST", b"/v1/messages") => Route::AnthropicMessages,
            ("POST", b"/v1/audio/transcriptions") => Route::OpenaiTranscriptions,
            ("POST", b"/v1/responses/compact") => Route::OpenaiResponsesCompact,
            ("POST", b"/v1/images/generations") => Route::OpenaiImagesGenerations,
            ("POST", b"/v1/images/edits") => Route::OpenaiImagesEdits,
            ("GET", b"/v1/models") => Route::OpenaiModels,
            ("GET" | "HEAD", b"/api/tags") => Route::Tags,
            ("GET", b"/api/ps") => Route::Ps,
            ("GET" | "HEAD", b"/api/version") => Route::Version,
            ("POST", b"/api/show") => Route::Show,
            ("POST", b"/api/pull") => Route::Pull,
            ("POST", b"/api/push") => Route::Push,
            ("POST", b"/api/create") => Route::Create,
            ("POST", b"/api/copy") => Route::Copy,
            ("DELETE", b"/api/delete") => Route::Delete,
            ("GET", b"/api/status") => Route::Status,
            ("POST", b"/api/me") => Route::Me,
            ("POST", b"/api/signout") => Route::Signout,
            ("GET" | "HEAD", b"/") => Route::Root,
            ("GET", path) if is_child(path, b"/v1/models/") => Route::OpenaiModels,
            ("HEAD" | "POST", path) if is_child(path, b"/api/blobs/") => Route::Blobs,
            ("DELETE", path) if is_child(path, b"/api/user/keys/") => Route::UserKeys,
            // Every path there is Ollama's account or its cloud, with any method.
            (_, path) if is_below(path, b"/api/experimental/") => Route::Experimental,
            ("POST", path) if is_below(path, b"/v1/") || is_below(path, CODEX) => Route::V1Other,
            _ => Route::Other,
        }
    }

    /// Returns the route of a label.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Route> {
        Route::ALL.into_iter().find(|route| route.label() == label)
    }

    /// Returns the value of the label `route`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Route::Generate => "generate",
            Route::Chat => "chat",
            Route::Embed => "embed",
            Route::Embeddings => "embeddings",
            Route::OpenaiChat => "openai_chat",
            Route::OpenaiCompletions => "openai_completions",
            Route::OpenaiResponses => "openai_responses",
            Route::OpenaiEmbeddings => "openai_embeddings",
            Route::OpenaiModels => "openai_models",
            Route::OpenaiTranscriptions => "openai_transcriptions",
            Route::OpenaiResponsesCompact => "openai_responses_compact",
            Route::OpenaiImagesGenerations => "openai_images_generations",
            Route::OpenaiImagesEdits => "openai_images_edits",
            Route::AnthropicMessages => "anthropic_messages",
            Route::V1Other => "v1_other",
            Route::Tags => "tags",
            Route::Ps => "ps",
            Route::Version => "version",
            Route::Show => "show",
            Route::Pull => "pull",
            Route::Push => "push",
            Route::Create => "create",
            Route::Blobs => "blobs",
            Route::Copy => "copy",
            Route::Delete => "delete",
            Route::Status => "status",
            Route::Me => "me",
            Route::Signout => "signout",
            Route::UserKeys => "user_keys",
            Route::Experimental => "experimental",
            Route::Root => "root",
            Route::Other => "other",
        }
    }

    /// Returns its index in [`Route::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the dialect of its errors and streams. For [`Route::Other`] and [`Route::V1Other`] it depends on the
    /// path: see [`Dialect::of`].
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Route::OpenaiChat
            | Route::OpenaiCompletions
            | Route::OpenaiResponses
            | Route::OpenaiEmbeddings
            | Route::OpenaiModels
            | Route::OpenaiTranscriptions
            | Route::OpenaiResponsesCompact
            | Route::OpenaiImagesGenerations
            | Route::OpenaiImagesEdits
            | Route::V1Other => Dialect::OpenAi,
            Route::AnthropicMessages => Dialect::Anthropic,
            _ => Dialect::Ollama,
        }
    }

    /// Whether it makes the GPU work, and therefore takes a slot at an upstream.
    #[must_use]
    pub const fn takes_slot(self) -> bool {
        self.generates() || matches!(self, Route::Embed | Route::Embeddings | Route::OpenaiEmbeddings)
    }

    /// Whether it generates tokens, a text or an image. An embedding generates nothing, although it takes a slot.
    #[must_use]
    pub const fn generates(self) -> bool {
        matches!(
            self,
            Route::Generate
                | Route::Chat
                | Route::OpenaiChat
                | Route::OpenaiCompletions
                | Route::OpenaiResponses
                | Route::OpenaiTranscriptions
                | Route::OpenaiResponsesCompact
                | Route::OpenaiImagesGenerations
                | Route::OpenaiImagesEdits
                | Route::AnthropicMessages
                | Route::V1Other
        )
    }

    /// Whether its response may be a stream of records. The response of an unknown route may be one.
    #[must_use]
    pub const fn may_stream(self) -> bool {
        let answers_whole = matches!(
            self,
            Route::OpenaiTranscriptions
                | Route::OpenaiResponsesCompact
                | Route::OpenaiImagesGenerations
                | Route::OpenaiImagesEdits
        );
        self.generates() && !answers_whole
            || matches!(self, Route::Pull | Route::Push | Route::Create | Route::Other)
    }

    /// Whether its response may be a stream of server-sent events whose format is known.
    #[must_use]
    pub const fn streams_events(self) -> bool {
        matches!(
            self,
            Route::OpenaiChat | Route::OpenaiCompletions | Route::OpenaiResponses | Route::AnthropicMessages
        )
    }

    /// Whether it concerns the account at Ollama's cloud to which the upstream is signed in, or is passed on to that
    /// cloud.
    #[must_use]
    pub const fn is_account(self) -> bool {
        matches!(self, Route::Status | Route::Me | Route::Signout | Route::UserKeys | Route::Experimental)
    }

    /// Whether Ollama passes all of its requests on to its cloud.
    #[must_use]
    pub const fn asks_cloud(self) -> bool {
        self.is_account() && !matches!(self, Route::Status)
    }

    /// Whether Ollama passes a request on to its cloud if the request's model is one of the cloud's. For an unknown
    /// route this is not known, so such a request takes a slot.
    #[must_use]
    pub const fn may_ask_cloud(self) -> bool {
        self.takes_slot() && !matches!(self, Route::V1Other)
            || matches!(self, Route::Show | Route::OpenaiModels)
    }

    /// Whether its requests name a model.
    #[must_use]
    pub const fn has_model(self) -> bool {
        self.takes_slot()
            || matches!(
                self,
                Route::Show | Route::Pull | Route::Push | Route::Create | Route::Copy | Route::Delete
            )
    }

    /// Whether its streams end with a terminal record, so that a stream without one is truncated. Streams of unknown
    /// routes need no terminal record. Transcriptions and images have no streams in any version of Ollama.
    #[must_use]
    pub const fn has_terminal_record(self) -> bool {
        !matches!(
            self,
            Route::OpenaiTranscriptions
                | Route::OpenaiImagesGenerations
                | Route::OpenaiImagesEdits
                | Route::V1Other
                | Route::Experimental
                | Route::Other
        )
    }

    /// Whether its requests may be a form (`multipart/form-data`) instead of JSON.
    #[must_use]
    pub const fn takes_form(self) -> bool {
        matches!(self, Route::OpenaiTranscriptions | Route::OpenaiImagesEdits | Route::V1Other)
    }

    /// Whether its request body is JSON or a form whose beginning is read ahead. Bodies of blobs, which can have
    /// gigabytes, and of unknown routes that do not generate are not read.
    #[must_use]
    pub const fn reads_body_ahead(self) -> bool {
        self.has_model()
    }
}

/// Returns the model in the query of a request with a form, as Ollama's form parser reads it: the first `model`
/// counts, and the query takes precedence over the form. `None`: the query names no model.
#[must_use]
pub fn model_of_query(query: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned).ok()
    };
    pairs
        .into_iter()
        .find(|(name, _)| decode(name).as_deref() == Some("model"))
        .map(|(_, value)| decode(value).unwrap_or_default())
}

/// Returns the model in the path of `GET /v1/models/:model`, decoded.
#[must_use]
pub fn model_of_path(path: &str) -> Option<String> {
    let decoded = decode(path)?;
    let name = String::from_utf8(decoded.strip_prefix(b"/v1/models/")?.to_vec()).ok()?;
    is_model_name(&name).then_some(name)
}

/// Decodes the path as Ollama does. `None`: an escape is broken, to which Go responds with 400.
fn decode(path: &str) -> Option<Cow<'_, [u8]>> {
    let mut rest = path.as_bytes();
    while let Some(escape) = memchr::memchr(b'%', rest) {
        match rest[escape..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = &rest[escape + 3..];
            }
            _ => return None,
        }
    }
    Some(percent_decode_str(path).into())
}

/// Whether the path is the parent and one clean segment.
fn is_child(path: &[u8], parent: &[u8]) -> bool {
    is_below(path, parent) && !path[parent.len()..].contains(&b'/')
}

/// Whether the path is the parent and at least one segment, all of them clean.
fn is_below(path: &[u8], parent: &[u8]) -> bool {
    let is_clean = |segment: &[u8]| !matches!(segment, b"" | b"." | b"..");
    path.strip_prefix(parent).is_some_and(|rest| rest.split(|byte| *byte == b'/').all(is_clean))
}
