//! What a model is called: Ollama's rules for when two names mean one model.
//!
//! A name has four parts, `host/namespace/model:tag`. Ollama fills in the host, the namespace and the tag that a
//! name leaves out, and compares each part without regard to case.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// What Ollama fills in. It adds the tag `latest`.
const HOST: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";
/// The longest name of a model that is taken for one, bytes.
const MAX_MODEL: usize = 256;

/// Whether a text can be the name of a model: 1 to 256 bytes without control characters. Anything else
/// is junk that must not reach a label, a log or a table.
#[must_use]
pub fn is_model_name(text: &str) -> bool {
    (1..=MAX_MODEL).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The key of a model: two names mean one model if their keys are equal.
///
/// ```
/// use streamgauge::protocol::canonical_model;
///
/// assert_eq!(canonical_model("registry.ollama.ai/library/Llama3.2"), "llama3.2:latest");
/// assert_eq!(canonical_model("Host:5000/me/mine:1B"), "host:5000/me/mine:1b");
/// ```
#[must_use]
pub fn canonical_model(name: &str) -> Cow<'_, str> {
    match short_model(name) {
        Cow::Borrowed(short) if !short.bytes().any(|letter| letter.is_ascii_uppercase()) => short.into(),
        // Ollama allows ASCII alone, so no other letter has a case.
        short => short.to_ascii_lowercase().into(),
    }
}

/// A name in the form in which Ollama lists models: without the parts that it fills in, with a tag. The case of
/// letters stays.
///
/// ```
/// use streamgauge::protocol::short_model;
///
/// assert_eq!(short_model("https://hf.co/Ada/Llama-GGUF:Q4_K_M"), "hf.co/Ada/Llama-GGUF:Q4_K_M");
/// assert_eq!(short_model("library/Llama3.2"), "Llama3.2:latest");
/// ```
#[must_use]
pub fn short_model(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    // A colon before the last slash belongs to a scheme or to a port.
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let tag = name[last..].rfind(':').map(|colon| last + colon);
    let short = &name[filled_in(&name[..tag.unwrap_or(name.len())])..];
    if tag.is_some() { short.into() } else { format!("{short}:latest").into() }
}

/// How many bytes at the beginning of a name without its tag say what Ollama fills in anyway. A name that Ollama
/// refuses stays whole.
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
