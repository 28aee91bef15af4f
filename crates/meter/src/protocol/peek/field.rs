//! The names of fields, compared as Go's decoder does.

use std::borrow::Cow;

/// The maximum length of a key that is compared, in raw bytes. A name has at most 15 letters, and the escape of a
/// letter has 6 bytes.
pub(super) const MAX_KEY: usize = 15 * 6;

/// A field of the outermost object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OuterField {
    /// A name of the model, by precedence: `model`, `name`, `source`.
    Name(usize),
    Stream,
    StreamOptions,
    /// An object with the options of the model.
    Options,
    KeepAlive,
    /// Tools.
    Tools,
    /// A format of the answer, which is no part of the prompt.
    Format,
    #[default]
    Other,
}

impl OuterField {
    /// Returns the field of a key as it is written.
    pub(super) fn of(raw: &[u8]) -> OuterField {
        const FIELDS: [(&str, OuterField); 11] = [
            ("model", OuterField::Name(0)),
            ("name", OuterField::Name(1)),
            ("source", OuterField::Name(2)),
            ("stream", OuterField::Stream),
            ("stream_options", OuterField::StreamOptions),
            ("options", OuterField::Options),
            ("keep_alive", OuterField::KeepAlive),
            ("tools", OuterField::Tools),
            ("format", OuterField::Format),
            ("response_format", OuterField::Format),
            // It contains the format of `/v1/responses`.
            ("text", OuterField::Format),
        ];
        let key = unescaped(raw);
        FIELDS.iter().find(|(name, _)| folds_to(&key, name)).map_or(OuterField::Other, |(_, field)| *field)
    }
}

/// Whether a key of `stream_options` is `include_usage`.
pub(super) fn is_include_usage(raw: &[u8]) -> bool {
    folds_to(&unescaped(raw), "include_usage")
}

/// Whether strings under a key, or in a list under it, carry an image, sound or a file instead of text.
pub(super) fn carries_data(raw: &[u8]) -> bool {
    matches!(raw, b"images" | b"image" | b"image_url" | b"url" | b"data" | b"file_data")
}

/// Whether strings under a key are earlier reasoning, which the templates of most models leave out of the prompt.
pub(super) fn carries_reasoning(raw: &[u8]) -> bool {
    matches!(raw, b"thinking" | b"reasoning" | b"reasoning_content" | b"encrypted_content" | b"signature")
}

impl OuterField {
    /// Whether it may limit the form of the answer.
    pub(super) const fn constrains(self) -> bool {
        matches!(self, OuterField::Tools | OuterField::Format)
    }

    /// Whether it is no part of the prompt.
    pub(super) const fn is_beside_prompt(self) -> bool {
        matches!(self, OuterField::Format | OuterField::Options)
    }
}

/// Returns the text of a string as it is written. `None`: it has an invalid escape or invalid bytes.
pub(super) fn text(raw: &[u8]) -> Option<String> {
    if raw.contains(&b'\\') {
        let quoted = [b"\"", raw, b"\""].concat();
        return serde_json::from_slice(&quoted).ok();
    }
    std::str::from_utf8(raw).ok().map(str::to_owned)
}

fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'\\') {
        // Go replaces invalid parts by a letter that is in no name.
        return Cow::Owned(text(raw).map_or_else(Vec::new, String::into_bytes));
    }
    Cow::Borrowed(raw)
}

/// Compares as Go does: without regard to ASCII case, and with the long s as s.
fn folds_to(key: &[u8], name: &str) -> bool {
    key.len() >= name.len()
        // A long s has 2 bytes.
        && key.len() <= 2 * name.len()
        && std::str::from_utf8(key).is_ok_and(|key| {
            key.chars()
                .map(|letter| if letter == 'ſ' { 's' } else { letter.to_ascii_lowercase() })
                .eq(name.chars())
        })
}
