//! The models that a caller may use.

use std::sync::Arc;

use crate::protocol::{Route, canonical_model, is_model_name};

use super::Refusal;

/// A list of names of models. `*` in a name stands for any text.
///
/// A name without `*` means the same model as for Ollama: `llama3.2` is `llama3.2:latest`, and case does not matter. A
/// name with `*` is compared with the canonical name, which has a tag: see
/// [`canonical_model`](crate::protocol::canonical_model).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    /// The names as they were written.
    listed: Arc<[String]>,
    /// Each name in canonical form, divided at each `*`.
    patterns: Arc<[Vec<String>]>,
}

/// A text that is not the name of a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a model")]
pub struct NoSuchName(pub String);

impl Models {
    /// The models with these names.
    ///
    /// # Errors
    /// The first text that is not a name.
    ///
    /// ```
    /// use streamgauge::admission::Models;
    ///
    /// let models = Models::of(["llama3.2", "qwen3:*"])?;
    /// assert!(models.allows("llama3.2:latest") && models.allows("qwen3:8b"));
    /// assert!(!models.allows("llama3.2:1b"));
    /// # Ok::<(), streamgauge::admission::NoSuchName>(())
    /// ```
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Models, NoSuchName> {
        let (mut listed, mut patterns) = (Vec::new(), Vec::new());
        for name in names {
            if !is_model_name(name) || name.contains(char::is_whitespace) {
                return Err(NoSuchName(name.to_owned()));
            }
            let canonical =
                if name.contains('*') { name.to_ascii_lowercase() } else { canonical_model(name).into() };
            listed.push(name.to_owned());
            patterns.push(canonical.split('*').map(str::to_owned).collect());
        }
        Ok(Models { listed: listed.into(), patterns: patterns.into() })
    }

    /// The names as they were written.
    #[must_use]
    pub fn listed(&self) -> &[String] {
        &self.listed
    }

    /// Whether a model is in the list. `model` is its canonical name.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, model))
    }

    /// Judges a request that names `model` by its canonical name. `is_whole`: the rest of the body cannot name another
    /// model.
    ///
    /// # Errors
    /// The model is not in the list, or it cannot be known which model Ollama would use.
    pub(crate) fn judge(&self, model: Option<&str>, is_whole: bool) -> Result<(), Refusal> {
        match model {
            _ if !is_whole => Err(Refusal::UnreadModel),
            Some(model) if self.allows(model) => Ok(()),
            Some(model) => Err(Refusal::Model(model.to_owned())),
            None => Err(Refusal::NoModel),
        }
    }
}

/// Whether Ollama chooses the models of a request on this route in a way that [`Models::judge`] cannot see: it takes
/// several models, or the route is not known.
pub(super) const fn is_unseen(route: Route) -> bool {
    matches!(route, Route::Create | Route::Copy | Route::Blobs | Route::Experimental | Route::Other)
}

/// Whether a text begins with the first part, ends with the last one, and has the others between them in this order.
fn matches(pattern: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = pattern else { return pattern.iter().any(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
    else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_stands_for_any_text_and_no_text() {
        for (pattern, model, is_allowed) in [
            ("*", "anything:latest", true),
            ("llama3.2", "llama3.2:latest", true),
            ("Library/Llama3.2", "llama3.2:latest", true),
            ("llama3.2", "llama3.2:1b", false),
            ("llama3.2", "llama3.21:latest", false),
            ("llama*", "llama3.2:1b", true),
            ("LLAMA*", "llama3.2:1b", true),
            ("llama*", "codellama:latest", false),
            ("*llama*", "codellama:latest", true),
            ("qwen3:*", "qwen3:latest", true),
            ("qwen3:*", "qwen3.5:latest", false),
            ("*:1b", "llama3.2:1b", true),
            ("*:1b", "llama3.2:11b", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("hf.co/*", "hf.co/u/r:q4", true),
        ] {
            assert_eq!(Models::of([pattern]).unwrap().allows(model), is_allowed, "{pattern} {model}");
        }
    }

    #[test]
    fn empty_list_allows_no_model() {
        assert!(!Models::of([]).unwrap().allows("m:latest"));
    }

    #[test]
    fn text_that_names_no_model_is_refused() {
        for text in ["", "a b", "a\n", &"m".repeat(257)] {
            assert_eq!(Models::of(["m", text]), Err(NoSuchName(text.to_owned())));
        }
    }

    #[test]
    fn request_is_judged_only_if_its_model_is_certain() {
        let models = Models::of(["m"]).unwrap();
        assert_eq!(models.judge(Some("m:latest"), true), Ok(()));
        assert_eq!(models.judge(Some("x:latest"), true), Err(Refusal::Model("x:latest".to_owned())));
        assert_eq!(models.judge(None, true), Err(Refusal::NoModel));
        assert_eq!(models.judge(Some("m:latest"), false), Err(Refusal::UnreadModel));
    }
}
