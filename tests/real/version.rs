//! The versions of Ollama that the tests use.

use std::{fmt, path::PathBuf};

use super::process::cache;

/// A release that `install.sh` builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// The oldest supported version, whose own runner runs the models.
    V0_12_11,
    /// Since 0.30, llama-server runs the models. `install.sh all` builds it.
    V0_33_0,
    /// The newest version.
    V0_34_3,
}

impl Version {
    pub(crate) const NEWEST: Version = Version::V0_34_3;

    pub(crate) fn name(self) -> &'static str {
        match self {
            Version::V0_12_11 => "0.12.11",
            Version::V0_33_0 => "0.33.0",
            Version::V0_34_3 => "0.34.3",
        }
    }

    /// The path of the program that `install.sh` installs.
    pub(crate) fn program(self) -> PathBuf {
        match self {
            Version::V0_12_11 => cache("bin/ollama"),
            newer => cache("ollama").join(newer.name()).join("bin/ollama"),
        }
    }

    pub(crate) fn runs_llama_server(self) -> bool {
        self > Version::V0_12_11
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes one test for every version of each function that takes a [`Version`]: `ollama_0_34::NAME`.
macro_rules! on_every_ollama {
    ($($test:ident),+ $(,)?) => {
        mod ollama_0_12 {
            $(#[test]
            #[ignore = "needs a real Ollama; tests/real/install.sh"]
            fn $test() {
                super::$test(crate::version::Version::V0_12_11);
            })+
        }
        $crate::version::on_llama_server! { $($test),+ }
    };
}

/// The same for every version since 0.30.
macro_rules! on_llama_server {
    ($($test:ident),+ $(,)?) => {
        mod ollama_0_33 {
            $(#[test]
            #[ignore = "needs Ollama 0.33.0; tests/real/install.sh all"]
            fn $test() {
                super::$test(crate::version::Version::V0_33_0);
            })+
        }
        mod ollama_0_34 {
            $(#[test]
            #[ignore = "needs Ollama 0.34.3; tests/real/install.sh"]
            fn $test() {
                super::$test(crate::version::Version::V0_34_3);
            })+
        }
    };
}

pub(crate) use {on_every_ollama, on_llama_server};
