//! Reads the sources of settings: the file, the environment, the flags. It validates nothing.
#![expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]

use std::{env, ffi::OsString, fs, io::IsTerminal, path::PathBuf};

use zeroize::Zeroizing;

use super::{
    Flags,
    mistake::{Mistake, Problem, SettingPlace},
    ollama_host,
    resolve::PlacedKeys,
};

pub(super) const VARIABLE_PREFIX: &str = "STREAMGAUGE_";

/// All sources, as text.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// The path and the text of the file.
    pub(super) file: Option<(PathBuf, String)>,
    /// The variables that begin with `STREAMGAUGE_`.
    pub(super) environment: Vec<(String, String)>,
    /// The value of `OLLAMA_HOST`.
    pub(super) ollama_host: Option<String>,
    /// The command line.
    pub(super) flags: Flags,
    /// `access.keys_file` is not read, and neither is the store.
    pub(super) without_further_keys: bool,
    /// The keys of the store, if they are known.
    pub(super) stored_keys: Option<PlacedKeys>,
}

impl Sources {
    /// Reads the file and the environment. A source that cannot be read is reported as a mistake.
    pub(super) fn read(flags: &Flags) -> (Sources, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let file = flags.file.as_ref().and_then(|path| match fs::read_to_string(path) {
            Ok(text) => Some((path.clone(), text)),
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                let advice = "name a UTF-8 text file that this user may read";
                mistakes.push(Problem::new(what, advice).at(SettingPlace::Flag("--config".to_owned()), ""));
                None
            }
        });
        let mut environment = Vec::new();
        for (name, value) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if !is_ours(&name) {
                continue;
            }
            match value.into_string() {
                Ok(value) => environment.push((name, value)),
                Err(_) => {
                    let problem = Problem::new("the value is not UTF-8", "write it in UTF-8");
                    mistakes.push(problem.at(SettingPlace::Environment(name), ""));
                }
            }
        }
        environment.sort();
        let ollama_host = env::var(ollama_host::VARIABLE).ok();
        let sources = Sources { file, environment, ollama_host, flags: flags.clone(), ..Sources::default() };
        (sources, mistakes)
    }
}

/// Whether a variable is a setting. Two kinds are not: a Kubernetes Service named `streamgauge` puts its addresses
/// into the environment of every container, and the compose file has variables for published ports.
fn is_ours(name: &str) -> bool {
    name.strip_prefix(VARIABLE_PREFIX).is_some_and(|rest| {
        let is_link = rest == "HOST" || rest.split('_').any(|part| matches!(part, "PORT" | "SERVICE"));
        rest.contains("__") || !is_link
    })
}

/// The variables that set something. The caller removes them for a child that is configured by a file alone.
#[must_use]
pub(crate) fn variables() -> Vec<OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| is_ours(&name.to_string_lossy())).collect()
}

/// Reads a secret from a file.
pub(super) fn secret_file(path: &str) -> Result<Zeroizing<String>, Problem> {
    text_file(path).map(Zeroizing::new)
}

/// Reads a file that a setting names.
pub(super) fn text_file(path: &str) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|error| {
        let advice = "name a UTF-8 text file that this user may read";
        Problem::new(format!("cannot read {path:?}: {error}"), advice)
    })
}

/// Reads a secret from an environment variable.
pub(super) fn secret_variable(name: &str) -> Result<Zeroizing<String>, Problem> {
    let value = if name.is_empty() || name.contains(['=', '\0']) { None } else { env::var(name).ok() };
    value.map(Zeroizing::new).ok_or_else(|| {
        let what = format!("the variable {name:?} is not set or is not UTF-8");
        Problem::new(what, "set it, or name another one")
    })
}

/// Whether stderr is written without colour: `NO_COLOR` is set and not empty, or stderr is not a terminal.
#[must_use]
pub fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || !std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_variables_of_kubernetes_and_compose_are_ignored() {
        for name in ["PROXY__LISTEN", "PROXY__PORT", "PROXY_LISTEN", "CONFIG", "TRANSPORT"] {
            assert!(is_ours(&format!("STREAMGAUGE_{name}")), "{name}");
        }
        for name in [
            "STREAMGAUGE_PORT",
            "STREAMGAUGE_HOST",
            "STREAMGAUGE_ADMIN_PORT",
            "STREAMGAUGE_SERVICE_HOST",
            "STREAMGAUGE_SERVICE_PORT_PROXY",
            "STREAMGAUGE_PORT_11434_TCP_ADDR",
            "PATH",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
