//! Names of models: Ollama's rules for when two names mean the same model.
//!
//! A name has four parts, `host/namespace/model:tag`. Ollama fills in a missing host, namespace and tag, and compares
//! each part without regard to case. Since 0.33, a name may end with the place in which the model runs: `:local`,
//! `:cloud`, `-cloud`.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// The parts that Ollama fills in. It also adds the tag `latest`.
const HOST: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";
/// The value of the label `upstream` for Ollama's cloud. No upstream may have this name.
pub const CLOUD: &str = "cloud";
/// The end of a tag whose model runs in Ollama's cloud.
const CLOUD_TAG: &str = "-cloud";
/// The maximum length of a model's name, bytes.
const MAX_MODEL: usize = 256;

/// Whether a text can be the name of a model: 1 to 256 bytes without control characters. Any other text must not
/// reach a label, a log or a table.
#[must_use]
pub fn is_model_name(text: &str) -> bool {
    (1..=MAX_MODEL).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Returns the key of a model. Two names mean the same model if their keys are equal.
///
/// ```
/// use streamgauge_meter::protocol::canonical_model;
///
/// assert_eq!(canonical_model("registry.ollama.ai/library/Llama3.2"), "llama3.2:latest");
/// assert_eq!(canonical_model("Host:5000/me/mine:1B"), "host:5000/me/mine:1b");
/// ```
#[must_use]
pub fn canonical_model(name: &str) -> Cow<'_, str> {
    match short_model(name) {
        Cow::Borrowed(short) if !short.bytes().any(|letter| letter.is_ascii_uppercase()) => short.into(),
        // Ollama allows only ASCII, so no other letter has a case.
        short => short.to_ascii_lowercase().into(),
    }
}

/// Returns a name in the form in which Ollama lists models: without the parts that Ollama fills in, and with a tag.
/// The case of letters stays.
///
/// ```
/// use streamgauge_meter::protocol::short_model;
///
/// assert_eq!(short_model("https://hf.co/Ada/Llama-GGUF:Q4_K_M"), "hf.co/Ada/Llama-GGUF:Q4_K_M");
/// assert_eq!(short_model("library/Llama3.2"), "Llama3.2:latest");
/// ```
#[must_use]
pub fn short_model(name: &str) -> Cow<'_, str> {
    match sourced(name.trim()) {
        (base, Some(Source::Cloud)) => {
            // Ollama lists a model of its cloud under this name.
            let last = base.rfind('/').map_or(0, |slash| slash + 1);
            let suffix = if base[last..].contains(':') { "-cloud" } else { ":cloud" };
            shorten(&format!("{base}{suffix}")).into_owned().into()
        }
        (base, _) => shorten(base),
    }
}

/// The place in which a name says that its model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Local,
    Cloud,
}

/// Whether a name means a model that runs in Ollama's cloud, to which Ollama passes its requests on. `NAME:cloud`,
/// `NAME:TAG:cloud` and `NAME:TAG-cloud` are such names.
///
/// ```
/// use streamgauge_meter::protocol::is_cloud_model;
///
/// assert!(is_cloud_model("gpt-oss:120b-cloud") && is_cloud_model("gpt-oss:120b:cloud"));
/// assert!(!is_cloud_model("gpt-oss:120b") && !is_cloud_model("my-cloud"));
/// ```
#[must_use]
pub fn is_cloud_model(name: &str) -> bool {
    matches!(sourced(name.trim()), (_, Some(Source::Cloud)))
}

/// Splits a name into the name itself and the place in which it says the model runs. Ollama refuses a name with two
/// places, so such a name stays whole.
fn sourced(name: &str) -> (&str, Option<Source>) {
    match suffix(name) {
        (base, Some(source)) if suffix(base).1.is_none() => (base, Some(source)),
        _ => (name, None),
    }
}

fn suffix(name: &str) -> (&str, Option<Source>) {
    let Some((base, last)) = name.rsplit_once(':') else { return (name, None) };
    let is = |word: &str| last.trim().eq_ignore_ascii_case(word);
    if is(CLOUD) {
        return (base, Some(Source::Cloud));
    }
    if is("local") {
        return (base, Some(Source::Local));
    }
    // A slash after the colon shows that the colon belongs to a port.
    match last.len().checked_sub(CLOUD_TAG.len()) {
        Some(at)
            if !last.contains('/') && last.as_bytes()[at..].eq_ignore_ascii_case(CLOUD_TAG.as_bytes()) =>
        {
            (&name[..name.len() - CLOUD_TAG.len()], Some(Source::Cloud))
        }
        _ => (name, None),
    }
}

/// Shortens a name, if it names no place in which the model runs.
fn shorten(name: &str) -> Cow<'_, str> {
    // A colon before the last slash belongs to a scheme or to a port.
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let tag = name[last..].rfind(':').map(|colon| last + colon);
    let short = &name[filled_in(&name[..tag.unwrap_or(name.len())])..];
    if tag.is_some() { short.into() } else { format!("{short}:latest").into() }
}

/// Returns the number of bytes, at the beginning of a name without its tag, that Ollama would fill in. A name that
/// Ollama refuses stays whole.
fn filled_in(path: &str) -> usize {
    let Some(slash) = path.rfind('/') else { return 0 };
    let (before, model) = (&path[..slash], slash + 1);
    let (host, namespace) = match before.rfind('/') {
        Some(slash) => (Some(&before[..slash]), slash + 1),
        None => (None, 0),
    };
    if model == path.len() || namespace == slash {
        return 0;
    }
    let is_library = before[namespace..].eq_ignore_ascii_case(NAMESPACE);
    let Some(host) = host else { return if is_library { model } else { 0 } };
    let scheme = host.find("://").map_or(0, |at| at + 3);
    let host = &host[scheme..];
    match host {
        _ if host.is_empty() || host.contains('/') => 0,
        _ if !host.eq_ignore_ascii_case(HOST) => scheme,
        _ if is_library => model,
        _ => namespace,
    }
}
