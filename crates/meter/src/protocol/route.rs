//! Method and decoded path, classified into a closed list.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::name::is_model_name;

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

/// Where Ollama 0.34 serves Codex: a path as under `/v1` follows.
const CODEX: &[u8] = b"/api/codex/";

impl Dialect {
    /// The dialect that a client of this path expects, be there a route or not. The path is as it came.
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

    /// The route of a request: its method, and its path as it came (percent-encoded, no query).
    ///
    /// Ollama routes the decoded path, so that is what is judged. What it would redirect (`//`, `..`, a
    /// trailing slash), refuse (405, a broken escape) or not know is [`Route::Other`], except for a POST below `/v1`
    /// or `/api/codex`: such a request may generate, and is [`Route::V1Other`].
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
            // Whatever comes there is Ollama's account or its cloud, by whatever method.
            (_, path) if is_below(path, b"/api/experimental/") => Route::Experimental,
            ("POST", path) if is_below(path, b"/v1/") || is_below(path, CODEX) => Route::V1Other,
            _ => Route::Other,
        }
    }

    /// The route of a label.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Route> {
        Route::ALL.into_iter().find(|route| route.label() == label)
    }

    /// The value of the label `route`.
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

    /// Its place in [`Route::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The dialect of its errors and streams. Those of [`Route::Other`] and [`Route::V1Other`] depend on the path: see
    /// [`Dialect::of`].
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

    /// It makes the GPU work: it takes a place at an upstream.
    #[must_use]
    pub const fn takes_slot(self) -> bool {
        self.generates() || matches!(self, Route::Embed | Route::Embeddings | Route::OpenaiEmbeddings)
    }

    /// It generates tokens, a text or an image (an embedding does not, though it takes a place).
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

    /// Its response may be a stream of records. What is not known may be one.
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

    /// It is about the account at Ollama's cloud that the upstream is signed in to, or passes on to that cloud.
    #[must_use]
    pub const fn is_account(self) -> bool {
        matches!(self, Route::Status | Route::Me | Route::Signout | Route::UserKeys | Route::Experimental)
    }

    /// Ollama passes its requests on to its cloud, whatever they ask for.
    #[must_use]
    pub const fn asks_cloud(self) -> bool {
        self.is_account() && !matches!(self, Route::Status)
    }

    /// Ollama passes those of its requests on to its cloud whose model is one of the cloud's. Of what is not known nobody
    /// knows it: such a request takes a slot.
    #[must_use]
    pub const fn may_ask_cloud(self) -> bool {
        self.takes_slot() && !matches!(self, Route::V1Other)
            || matches!(self, Route::Show | Route::OpenaiModels)
    }

    /// Its requests name a model.
    #[must_use]
    pub const fn has_model(self) -> bool {
        self.takes_slot()
            || matches!(
                self,
                Route::Show | Route::Pull | Route::Push | Route::Create | Route::Copy | Route::Delete
            )
    }

    /// A stream of it ends with a terminal record, so that one without is truncated. What is not known
    /// promises nothing, and of transcriptions and images no version of Ollama has streams.
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

    /// Its requests may be a form (`multipart/form-data`) in place of JSON.
    #[must_use]
    pub const fn takes_form(self) -> bool {
        matches!(self, Route::OpenaiTranscriptions | Route::OpenaiImagesEdits | Route::V1Other)
    }

    /// Its request body is JSON or a form, and the beginning of it is worth reading before the request goes on.
    /// Never so for blobs, which are gigabytes, nor for what is not known and generates nothing.
    #[must_use]
    pub const fn reads_body_ahead(self) -> bool {
        self.has_model()
    }
}

/// The model that the query of a form names, as Ollama's parser of forms reads it: the first `model` counts, and what
/// the query says comes before what the form says. `None`: the query says nothing of a model.
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

/// The model that the path of `GET /v1/models/:model` names, as it came but for its escapes.
#[must_use]
pub fn model_of_path(path: &str) -> Option<String> {
    let decoded = decode(path)?;
    let name = String::from_utf8(decoded.strip_prefix(b"/v1/models/")?.to_vec()).ok()?;
    is_model_name(&name).then_some(name)
}

/// The path as Ollama sees it. `None` where an escape is broken, which Go answers with 400.
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

/// It is the parent and one clean segment.
fn is_child(path: &[u8], parent: &[u8]) -> bool {
    is_below(path, parent) && !path[parent.len()..].contains(&b'/')
}

/// It is the parent and at least one segment, each of them clean.
fn is_below(path: &[u8], parent: &[u8]) -> bool {
    let is_clean = |segment: &[u8]| !matches!(segment, b"" | b"." | b"..");
    path.strip_prefix(parent).is_some_and(|rest| rest.split(|byte| *byte == b'/').all(is_clean))
}
