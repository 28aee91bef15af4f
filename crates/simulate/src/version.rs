//! The simulated versions of Ollama, and the differences between them.

use std::fmt;
use std::str::FromStr;

/// A version of Ollama.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OllamaVersion {
    /// 0.12.11: a runner of Ollama's own runs the model, and every chat is rendered by a Go template.
    V0_12,
    /// 0.33.0: llama-server runs the model.
    V0_33,
    /// 0.34.3: as 0.33, and the last record reports how much of the prompt was cached.
    #[default]
    V0_34,
}

/// The program that renders the prompt of a chat and finds the tool calls in its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatPath {
    /// Ollama, with the model's TEMPLATE. A tool call is a record of its own, sent when the call is complete.
    #[default]
    GoTemplate,
    /// llama-server, with the chat template in the GGUF file. All tool calls are in the last record. 0.12 does not
    /// have this path.
    Native,
}

/// A name that is not one of the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`: write {names}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    names: &'static str,
}

impl UnknownName {
    pub(super) fn new(what: &'static str, name: &str, names: &'static str) -> Self {
        Self { what, name: name.to_owned(), names }
    }
}

impl OllamaVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 3] = [Self::V0_12, Self::V0_33, Self::V0_34];

    /// The name, as in `--ollama-version`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V0_12 => "0.12",
            Self::V0_33 => "0.33",
            Self::V0_34 => "0.34",
        }
    }

    /// The release that was compared with the simulator. `/api/version` reports it with `+simulated` after it.
    #[must_use]
    pub const fn release(self) -> &'static str {
        match self {
            Self::V0_12 => "0.12.11",
            Self::V0_33 => "0.33.0",
            Self::V0_34 => "0.34.3",
        }
    }

    /// Whether llama-server runs the model, as since 0.30.
    pub(super) fn runs_llama_server(self) -> bool {
        self >= Self::V0_33
    }

    /// Whether records and usage report how much of the prompt was cached.
    pub(super) fn tells_cached(self) -> bool {
        self >= Self::V0_34
    }
}

impl FromStr for OllamaVersion {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|version| [version.name(), version.release()].contains(&text))
            .ok_or_else(|| UnknownName::new("version of Ollama", text, "0.12, 0.33 or 0.34"))
    }
}

impl fmt::Display for OllamaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ChatPath {
    /// The name, as in `--chat`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoTemplate => "go-template",
            Self::Native => "native",
        }
    }
}

impl FromStr for ChatPath {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::GoTemplate, Self::Native]
            .into_iter()
            .find(|path| path.name() == text)
            .ok_or_else(|| UnknownName::new("chat path", text, "go-template or native"))
    }
}

impl fmt::Display for ChatPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{ChatPath, OllamaVersion};

    #[test]
    fn version_and_chat_path_round_trip() {
        for version in OllamaVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(version.release().parse(), Ok(version));
        }
        for path in [ChatPath::GoTemplate, ChatPath::Native] {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
        let error = "0.35".parse::<OllamaVersion>().unwrap_err().to_string();
        assert_eq!(error, "unknown version of Ollama `0.35`: write 0.12, 0.33 or 0.34");
    }

    #[test]
    fn version_defaults_to_the_newest() {
        assert_eq!(OllamaVersion::default(), OllamaVersion::ALL[OllamaVersion::ALL.len() - 1]);
    }
}
