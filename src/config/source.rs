//! Where settings come from: the file, the environment, the flags. Nothing is judged here.
#![expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]

use std::{env, ffi::OsString, fs, io::IsTerminal, path::PathBuf};

use zeroize::Zeroizing;

use super::{
    Flags,
    mistake::{Mistake, Problem, SettingPlace},
    ollama_host,
};

pub(super) const VARIABLE_PREFIX: &str = "STREAMGAUGE_";

/// All that was written, as text.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// The file's path and what is in it.
    pub(super) file: Option<(PathBuf, String)>,
    /// The variables that begin with the prefix.
    pub(super) environment: Vec<(String, String)>,
    /// `OLLAMA_HOST`.
    pub(super) ollama_host: Option<String>,
    /// The command line.
    pub(super) flags: Flags,
}

impl Sources {
    /// Reads file and environment; what cannot be read is a mistake.
    pub(super) fn read(flags: &Flags) -> (Sources, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let file = flags.file.as_ref().and_then(|path| match fs::read_to_string(path) {
            Ok(text) => Some((path.clone(), text)),
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                let advice = "name a file of UTF-8 text that this user may read";
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
                    let problem = Problem::new("its value is not UTF-8", "write it in UTF-8");
                    mistakes.push(problem.at(SettingPlace::Environment(name), ""));
                }
            }
        }
        environment.sort();
        let ollama_host = env::var(ollama_host::VARIABLE).ok();
        (Sources { file, environment, ollama_host, flags: flags.clone() }, mistakes)
    }
}

/// It is meant for us. A Kubernetes Service of our name puts its addresses into every container, and the compose file
/// has variables for the ports that it publishes.
fn is_ours(name: &str) -> bool {
    name.strip_prefix(VARIABLE_PREFIX).is_some_and(|rest| {
        let is_link = rest == "HOST" || rest.split('_').any(|part| matches!(part, "PORT" | "SERVICE"));
        rest.contains("__") || !is_link
    })
}

/// The variables that set something, for a child that is to be set by its file alone.
#[must_use]
pub(crate) fn variables() -> Vec<OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| is_ours(&name.to_string_lossy())).collect()
}

/// A secret that a file holds.
pub(super) fn secret_file(path: &str) -> Result<Zeroizing<String>, Problem> {
    fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        let advice = "name a file of UTF-8 text that this user may read";
        Problem::new(format!("cannot read {path:?}: {error}"), advice)
    })
}

/// A secret that an environment variable holds.
pub(super) fn secret_variable(name: &str) -> Result<Zeroizing<String>, Problem> {
    let value = if name.is_empty() || name.contains(['=', '\0']) { None } else { env::var(name).ok() };
    value.map(Zeroizing::new).ok_or_else(|| {
        let what = format!("there is no variable {name:?}, or it is not UTF-8");
        Problem::new(what, "set it, or name another")
    })
}

/// Whether stderr is to be written without colour: `NO_COLOR` is set and not empty, or nobody sees it.
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
