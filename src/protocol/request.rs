//! What a request's body tells beforehand: the model, and whether a stream is asked for.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The longest name of a model that is taken for one, bytes.
const MAX_MODEL: usize = 256;

/// What could be read of a request's JSON body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model as the client wrote it; `None` where it could not be read or is none
    /// ([`is_model_name`]). From `model`, else the older `name`, else `source` (of a copy).
    pub model: Option<String>,
    /// The `stream` field, where there is one.
    pub stream: Option<bool>,
}

impl Peek {
    /// Reads a body, or its beginning. What is cut off or malformed ends the reading; what was seen
    /// before stays. As Go does, a later field of the same name wins and case does not matter; `null`
    /// leaves what an earlier field said, and a value of the wrong type (which Ollama refuses) takes it
    /// away.
    #[must_use]
    pub fn read(body: &[u8]) -> Peek {
        let mut fields = Fields::default();
        // The error says that the body ends early or is no JSON: Ollama will tell the client.
        let _ = serde_json::Deserializer::from_slice(body).deserialize_map(&mut fields);
        let Fields { names, stream } = fields;
        let model = names.into_iter().flatten().find(|name| !name.is_empty());
        Peek { model: model.filter(|name| is_model_name(name)), stream }
    }
}

/// Whether a text can be the name of a model: 1 to 256 bytes without control characters. Anything else
/// is junk that must not reach a label, a log or a table.
#[must_use]
pub fn is_model_name(text: &str) -> bool {
    (1..=MAX_MODEL).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The fields of a body seen so far: a visitor that keeps them although the reading fails.
#[derive(Debug, Default)]
struct Fields {
    /// By precedence: `model`, `name`, `source`.
    names: [Option<String>; 3],
    stream: Option<bool>,
}

/// The key of a field.
#[derive(Clone, Copy, Debug)]
enum Key {
    Name(usize),
    Stream,
    Other,
}

/// The value of a field.
#[derive(Debug)]
enum Value {
    Text(String),
    Truth(bool),
    Null,
    Other,
}

impl<'de> Visitor<'de> for &mut Fields {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeyReader)? {
            match key {
                Key::Name(place) => {
                    // Taken first: a value that can't be read leaves nothing that may be wrong.
                    let earlier = self.names[place].take();
                    self.names[place] = match map.next_value_seed(ValueReader)? {
                        Value::Text(text) => Some(text),
                        Value::Null => earlier,
                        Value::Truth(_) | Value::Other => None,
                    };
                }
                Key::Stream => {
                    self.stream = None;
                    // Ollama holds it behind a pointer, which null resets.
                    if let Value::Truth(truth) = map.next_value_seed(ValueReader)? {
                        self.stream = Some(truth);
                    }
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads keys as bytes: Go replaces invalid UTF-8 and goes on, so it must not end the reading.
struct KeyReader;

impl<'de> DeserializeSeed<'de> for KeyReader {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for KeyReader {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Key, E> {
        Ok(if folds_to(key, "model") {
            Key::Name(0)
        } else if folds_to(key, "name") {
            Key::Name(1)
        } else if folds_to(key, "source") {
            Key::Name(2)
        } else if folds_to(key, "stream") {
            Key::Stream
        } else {
            Key::Other
        })
    }
}

/// Go's folding: ASCII case, and the long s, which folds to s.
fn folds_to(key: &[u8], name: &str) -> bool {
    // No name is longer than 6 letters, of which one may be a long s of 2 bytes.
    key.len() <= name.len() + 1
        && std::str::from_utf8(key).is_ok_and(|key| {
            key.chars()
                .map(|letter| if letter == 'ſ' { 's' } else { letter.to_ascii_lowercase() })
                .eq(name.chars())
        })
}

/// Reads a value whose type is not known.
struct ValueReader;

impl<'de> DeserializeSeed<'de> for ValueReader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueReader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}
