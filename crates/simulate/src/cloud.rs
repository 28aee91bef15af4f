//! Ollama's cloud, and the account there.

use std::fmt;
use std::str::FromStr;

use super::version::UnknownName;

/// The state of Ollama's cloud, in which `NAME:cloud` and `NAME:TAG-cloud` run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// It has every model, and an account is signed in.
    #[default]
    Answers,
    /// No account is signed in: 401.
    SignedOut,
    /// The cloud cannot be reached: 502, and 503 for the account.
    Unreachable,
    /// `OLLAMA_NO_CLOUD` is set: 403.
    Disabled,
}

impl Cloud {
    const ALL: [Self; 4] = [Self::Answers, Self::SignedOut, Self::Unreachable, Self::Disabled];

    /// The name, as in `--cloud`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::SignedOut => "signed-out",
            Self::Unreachable => "unreachable",
            Self::Disabled => "disabled",
        }
    }

    /// Whether requests reach the cloud. If they may not, none is sent.
    pub(super) const fn is_reachable(self) -> bool {
        matches!(self, Self::Answers | Self::SignedOut)
    }
}

impl FromStr for Cloud {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|cloud| cloud.name() == text).ok_or_else(|| {
            UnknownName::new("behaviour of the cloud", text, "answers, signed-out, unreachable or disabled")
        })
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
