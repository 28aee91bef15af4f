//! What a request's body tells beforehand: the model, and whether a stream is asked for.

use std::borrow::Cow;

/// What could be read of a request's JSON body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model as the client wrote it; `None` where it could not be read.
    pub model: Option<String>,
    /// The `stream` field, where there is one.
    pub stream: Option<bool>,
}

impl Peek {
    /// Reads a body, or its beginning. What is cut off or malformed ends the reading; what was seen
    /// before stays. As Go does, a later field of the same name wins and case does not matter.
    #[must_use]
    pub fn read(_body: &[u8]) -> Peek {
        Peek::default()
    }
}

/// A model's one name: default host and `library/` stripped, `:latest` added.
#[must_use]
pub fn canonical_model(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}
