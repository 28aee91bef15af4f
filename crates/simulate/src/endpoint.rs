//! The route of a request. Ollama matches the decoded path, and the simulator does too.

use http::Method;
use percent_encoding::percent_decode_str;

use super::version::OllamaVersion;

/// A route of Ollama.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Generate,
    Chat,
    Embed,
    Embeddings,
    OpenAiChat,
    OpenAiCompletions,
    OpenAiResponses,
    OpenAiEmbeddings,
    OpenAiModels,
    OpenAiModel,
    Messages,
    Tags,
    Ps,
    Version,
    Show,
    Pull,
    Push,
    Create,
    Copy,
    Delete,
    Blobs,
    Transcriptions,
    Compact,
    Status,
    Me,
    Signout,
    UserKey,
    WebSearch,
    WebFetch,
    Recommendations,
    Root,
    Other,
}

/// The dialect of a route, which decides the format of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Ollama,
    OpenAi,
    Anthropic,
}

impl Endpoint {
    pub(super) const COUNT: usize = Self::ALL.len();

    /// Every route, in the order of [`Endpoint::index`].
    pub(super) const ALL: [Self; 32] = [
        Self::Generate,
        Self::Chat,
        Self::Embed,
        Self::Embeddings,
        Self::OpenAiChat,
        Self::OpenAiCompletions,
        Self::OpenAiResponses,
        Self::OpenAiEmbeddings,
        Self::OpenAiModels,
        Self::OpenAiModel,
        Self::Messages,
        Self::Tags,
        Self::Ps,
        Self::Version,
        Self::Show,
        Self::Pull,
        Self::Push,
        Self::Create,
        Self::Copy,
        Self::Delete,
        Self::Blobs,
        Self::Transcriptions,
        Self::Compact,
        Self::Status,
        Self::Me,
        Self::Signout,
        Self::UserKey,
        Self::WebSearch,
        Self::WebFetch,
        Self::Recommendations,
        Self::Root,
        Self::Other,
    ];

    /// Finds the route of a path, and returns the rest of the path: a model or a digest.
    pub(super) fn find(path: &str) -> (Self, String) {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        if let Some(endpoint) = Self::ALL.into_iter().find(|endpoint| endpoint.path() == decoded) {
            return (endpoint, String::new());
        }
        for (prefix, endpoint) in [
            ("/v1/models/", Self::OpenAiModel),
            ("/api/blobs/", Self::Blobs),
            ("/api/user/keys/", Self::UserKey),
        ] {
            if let Some(rest) = decoded.strip_prefix(prefix)
                && !rest.is_empty()
            {
                return (endpoint, rest.to_owned());
            }
        }
        (Self::Other, String::new())
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Returns the path as the documentation writes it.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Generate => "/api/generate",
            Self::Chat => "/api/chat",
            Self::Embed => "/api/embed",
            Self::Embeddings => "/api/embeddings",
            Self::OpenAiChat => "/v1/chat/completions",
            Self::OpenAiCompletions => "/v1/completions",
            Self::OpenAiResponses => "/v1/responses",
            Self::OpenAiEmbeddings => "/v1/embeddings",
            Self::OpenAiModels => "/v1/models",
            Self::OpenAiModel => "/v1/models/:model",
            Self::Messages => "/v1/messages",
            Self::Tags => "/api/tags",
            Self::Ps => "/api/ps",
            Self::Version => "/api/version",
            Self::Show => "/api/show",
            Self::Pull => "/api/pull",
            Self::Push => "/api/push",
            Self::Create => "/api/create",
            Self::Copy => "/api/copy",
            Self::Delete => "/api/delete",
            Self::Blobs => "/api/blobs/:digest",
            Self::Transcriptions => "/v1/audio/transcriptions",
            Self::Compact => "/v1/responses/compact",
            Self::Status => "/api/status",
            Self::Me => "/api/me",
            Self::Signout => "/api/signout",
            Self::UserKey => "/api/user/keys/:encodedKey",
            Self::WebSearch => "/api/experimental/web_search",
            Self::WebFetch => "/api/experimental/web_fetch",
            Self::Recommendations => "/api/experimental/model-recommendations",
            Self::Root => "/",
            Self::Other => "other",
        }
    }

    pub(super) const fn dialect(self) -> Dialect {
        match self {
            Self::OpenAiChat
            | Self::OpenAiCompletions
            | Self::OpenAiResponses
            | Self::OpenAiEmbeddings
            | Self::OpenAiModels
            | Self::OpenAiModel
            | Self::Transcriptions
            | Self::Compact => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
            _ => Dialect::Ollama,
        }
    }

    /// Whether that version has the route.
    pub(super) fn is_in(self, version: OllamaVersion) -> bool {
        match self {
            Self::Compact => version >= OllamaVersion::V0_34,
            Self::OpenAiResponses
            | Self::Messages
            | Self::Transcriptions
            | Self::Status
            | Self::WebSearch
            | Self::WebFetch
            | Self::Recommendations => version >= OllamaVersion::V0_33,
            Self::Other => false,
            _ => true,
        }
    }

    /// Whether it answers with embeddings.
    pub(super) const fn embeds(self) -> bool {
        matches!(self, Self::Embed | Self::Embeddings | Self::OpenAiEmbeddings)
    }

    /// Whether it takes a chat, with tools.
    pub(super) const fn is_chat(self) -> bool {
        matches!(self, Self::Chat | Self::OpenAiChat | Self::OpenAiResponses | Self::Messages)
    }

    /// Returns the methods of the route, in the order of gin's trees. Any other method gets 405.
    pub(super) const fn methods(self) -> &'static [Method] {
        match self {
            Self::Root | Self::Tags | Self::Version => &[Method::HEAD, Method::GET],
            Self::Ps | Self::OpenAiModels | Self::OpenAiModel | Self::Status | Self::Recommendations => {
                &[Method::GET]
            }
            Self::Blobs => &[Method::HEAD, Method::POST],
            Self::Delete | Self::UserKey => &[Method::DELETE],
            Self::Other => &[],
            _ => &[Method::POST],
        }
    }

    /// Whether its body is JSON. Under `/v1` such a body may be compressed.
    pub(super) fn takes_zstd(self) -> bool {
        matches!(
            self,
            Self::OpenAiChat
                | Self::OpenAiCompletions
                | Self::OpenAiEmbeddings
                | Self::OpenAiResponses
                | Self::Messages
                | Self::Compact
        )
    }

    /// Returns the location to which Go redirects a client whose path is not clean. Escapes are not decoded.
    pub(super) fn clean(path: &str) -> Option<String> {
        let mut segments = Vec::new();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
        let clean = format!("/{}{slash}", segments.join("/"));
        (clean != path).then_some(clean)
    }

    /// Returns the Go type into which the body is decoded, and the text that the version puts before its name in an
    /// error.
    pub(super) fn go_type(self, version: OllamaVersion) -> (&'static str, String) {
        let name = match self {
            Self::OpenAiResponses | Self::Compact if version >= OllamaVersion::V0_34 => {
                return ("invalid Responses request: ", "map[string]json.RawMessage".into());
            }
            Self::Generate => "api.GenerateRequest",
            Self::Embed => "api.EmbedRequest",
            Self::Embeddings => "api.EmbeddingRequest",
            Self::OpenAiChat => "openai.ChatCompletionRequest",
            Self::OpenAiCompletions => "openai.CompletionRequest",
            Self::OpenAiResponses | Self::Compact => "openai.ResponsesRequest",
            Self::OpenAiEmbeddings => "openai.EmbedRequest",
            Self::Messages => "anthropic.MessagesRequest",
            Self::Show => "api.ShowRequest",
            Self::Pull => "api.PullRequest",
            Self::Push => "api.PushRequest",
            Self::Create => "api.CreateRequest",
            Self::Copy => "api.CopyRequest",
            Self::Delete => "api.DeleteRequest",
            _ => "api.ChatRequest",
        };
        if version >= OllamaVersion::V0_34 && matches!(self, Self::Generate | Self::Chat) {
            return ("", format!(r#"struct {{ *{name}; Think json.RawMessage "json:\"think\"" }}"#));
        }
        ("", name.to_owned())
    }

    /// Returns the location to which Ollama redirects a client that added a slash.
    pub(super) fn without_slash(path: &str) -> Option<&str> {
        let trimmed = path.strip_suffix('/')?;
        (!trimmed.is_empty() && Self::find(trimmed).0 != Self::Other).then_some(trimmed)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn endpoint_is_matched_on_decoded_path() {
        assert_eq!(Endpoint::find("/%61pi/ps").0, Endpoint::Ps);
        assert_eq!(Endpoint::find("/v1%2fmodels").0, Endpoint::OpenAiModels);
        assert_eq!(Endpoint::find("/v1/models/a%3Ab"), (Endpoint::OpenAiModel, "a:b".into()));
        assert_eq!(Endpoint::find("/api/blobs/").0, Endpoint::Other);
        assert_eq!(Endpoint::find("/api/psst").0, Endpoint::Other);
        assert_eq!(Endpoint::without_slash("/api/ps/"), Some("/api/ps"));
        assert_eq!(Endpoint::without_slash("/"), None);
        for (path, clean) in [
            ("//api/tags", Some("/api/tags")),
            ("/api/../api/./tags//", Some("/api/tags/")),
            ("/../..", Some("/")),
            ("/api/tags/", None),
            ("/api/%2e%2e/tags", None),
            ("/", None),
        ] {
            assert_eq!(Endpoint::clean(path).as_deref(), clean, "{path}");
        }
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint.index(), index);
        }
    }
}
