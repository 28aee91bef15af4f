//! One content record, read whole.
//!
//! Nothing is decoded that need not be: texts are joined as they are written, escapes and all, and a number is its
//! text. Read as a float and written again it could lose its last digit.

use bytes::{BufMut, Bytes, BytesMut};
use serde_core::de::IgnoredAny;

use crate::protocol::{Framing, object};

const EVENT: &[u8] = b"data: ";

/// A record of which every field is known, so that nothing is lost when it is made one with another.
#[derive(Debug)]
pub(super) struct Mergeable(Vec<Field>);

#[derive(Debug)]
struct Field {
    name: &'static str,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// What is between its quotes.
    Text(Vec<u8>),
    /// What is between its brackets.
    List(Vec<u8>),
    Object(Vec<Field>),
    /// A list of one object.
    Item(Vec<Field>),
    /// Any value of which the later counts.
    Last(Bytes),
    /// Any value that both must have.
    Same(Bytes),
}

/// What joining two values of a field makes.
#[derive(Clone, Copy, Debug)]
enum Joined {
    /// Texts and lists one after the other.
    Both,
    /// Any two; the later counts.
    Last,
    /// Two that are the same.
    Same,
    /// As its fields say.
    Inside(Fields),
    /// A list of one item, as its fields say.
    Item(Fields),
}

type Fields = &'static [(&'static str, Joined)];

/// Fields of a record of `/api/chat` and `/api/generate`, and of `/v1/chat/completions` and `/v1/completions`.
const RECORD: Fields = &[
    ("response", Joined::Both),
    ("thinking", Joined::Both),
    ("logprobs", Joined::Both),
    ("created_at", Joined::Last),
    ("created", Joined::Last),
    ("message", Joined::Inside(MESSAGE)),
    ("choices", Joined::Item(CHOICE)),
    ("model", Joined::Same),
    ("remote_model", Joined::Same),
    ("remote_host", Joined::Same),
    ("done", Joined::Same),
    ("id", Joined::Same),
    ("object", Joined::Same),
    ("system_fingerprint", Joined::Same),
    ("usage", Joined::Same),
];

const MESSAGE: Fields = &[
    ("content", Joined::Both),
    ("thinking", Joined::Both),
    ("reasoning", Joined::Both),
    ("reasoning_content", Joined::Both),
    ("role", Joined::Same),
];

const CHOICE: Fields = &[
    ("text", Joined::Both),
    ("delta", Joined::Inside(MESSAGE)),
    ("logprobs", Joined::Inside(LOGPROBS)),
    ("index", Joined::Same),
    ("finish_reason", Joined::Same),
];

const LOGPROBS: Fields = &[("content", Joined::Both), ("refusal", Joined::Both)];

impl Mergeable {
    /// Reads a record with its delimiter; `None` if it must pass alone.
    pub(super) fn read(bytes: &Bytes, framing: Framing) -> Option<Mergeable> {
        let text = match framing {
            Framing::Ndjson => bytes.strip_suffix(b"\n")?,
            // One line of data and no other: a name or a number of the event would be lost.
            Framing::Sse => {
                let text = bytes.strip_prefix(EVENT)?.strip_suffix(b"\n\n")?;
                (!text.contains(&b'\n') && !text.contains(&b'\r')).then_some(text)?
            }
            Framing::Json => return None,
        };
        // What follows leaps over values; here they are seen to be values.
        std::str::from_utf8(text).ok()?;
        serde_json::from_slice::<IgnoredAny>(text).ok()?;
        read(bytes, text, RECORD).map(Mergeable)
    }

    /// Makes both one, `later` after this; or gives it back.
    pub(super) fn join(&mut self, later: Mergeable) -> Result<(), Mergeable> {
        if !can_join(&self.0, &later.0) {
            return Err(later);
        }
        join(&mut self.0, later.0);
        Ok(())
    }

    pub(super) fn write(&self, framing: Framing, out: &mut BytesMut) {
        if framing == Framing::Sse {
            out.extend_from_slice(EVENT);
        }
        write(&self.0, out);
        out.extend_from_slice(if framing == Framing::Sse { b"\n\n" } else { b"\n" });
    }
}

/// The fields of an object within a record; `None` where one is not known, is there twice, or is not what it is known for.
fn read(record: &Bytes, text: &[u8], known: Fields) -> Option<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    let is_known = object::visit(text, |key, value| {
        let known = known.iter().find(|(name, _)| name.as_bytes() == key);
        let Some((name, joined)) = known.filter(|(name, _)| fields.iter().all(|field| field.name != *name))
        else {
            return false;
        };
        let value = Value::read(record, value, *joined);
        value.map(|value| fields.push(Field { name, value })).is_some()
    });
    is_known.then_some(fields)
}

impl Value {
    fn read(record: &Bytes, text: &[u8], joined: Joined) -> Option<Value> {
        Some(match (joined, text) {
            (Joined::Both, [b'"', inside @ .., b'"']) if is_whole(inside) => Value::Text(inside.to_vec()),
            (Joined::Both, [b'[', inside @ .., b']']) => Value::List(inside.trim_ascii().to_vec()),
            (Joined::Inside(_), b"null") | (Joined::Same, _) => Value::Same(record.slice_ref(text)),
            (Joined::Inside(known), _) => Value::Object(read(record, text, known)?),
            (Joined::Item(known), _) => Value::Item(read(record, object::only_item(text)?, known)?),
            (Joined::Last, _) => Value::Last(record.slice_ref(text)),
            (Joined::Both, _) => return None,
        })
    }
}

/// A text has no half of a surrogate pair: joined with another half it would become a letter that neither text has.
fn is_whole(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let escape = &rest[at..];
        rest = match surrogate(escape) {
            None => escape.get(2..).unwrap_or_default(),
            Some(0xd800..0xdc00) if matches!(surrogate(&escape[6..]), Some(0xdc00..)) => &escape[12..],
            Some(_) => return false,
        };
    }
    true
}

/// The half of a pair that an escape of the form `\ud83d` stands for.
fn surrogate(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    let letter = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..0xe000).contains(&letter).then_some(letter)
}

/// Both have the same fields of the same kinds, and what must be the same is.
fn can_join(one: &[Field], later: &[Field]) -> bool {
    let agree = |one: &Field| match (&one.value, later.iter().find(|later| later.name == one.name)) {
        (_, None) => false,
        (value, Some(later)) => match (value, &later.value) {
            // A thought that ends and an answer that begins stay two.
            (Value::Text(one), Value::Text(later)) => one.is_empty() == later.is_empty(),
            (Value::List(_), Value::List(_)) | (Value::Last(_), Value::Last(_)) => true,
            (Value::Object(one), Value::Object(later)) | (Value::Item(one), Value::Item(later)) => {
                can_join(one, later)
            }
            (Value::Same(one), Value::Same(later)) => one == later,
            _ => false,
        },
    };
    one.len() == later.len() && one.iter().all(agree)
}

fn join(one: &mut [Field], later: Vec<Field>) {
    for Field { name, value } in later {
        let Some(one) = one.iter_mut().find(|one| one.name == name) else { continue };
        match (&mut one.value, value) {
            (Value::Text(one), Value::Text(later)) => one.extend_from_slice(&later),
            (Value::List(one), Value::List(later)) => {
                if !one.is_empty() && !later.is_empty() {
                    one.push(b',');
                }
                one.extend_from_slice(&later);
            }
            (Value::Object(one), Value::Object(later)) | (Value::Item(one), Value::Item(later)) => {
                join(one, later);
            }
            (Value::Last(one), Value::Last(later)) => *one = later,
            _ => {}
        }
    }
}

fn write(fields: &[Field], out: &mut BytesMut) {
    out.put_u8(b'{');
    for (place, Field { name, value }) in fields.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        for part in [&b"\""[..], name.as_bytes(), b"\":"] {
            out.extend_from_slice(part);
        }
        let mut between = |open: u8, inside: &[u8], close: u8| {
            out.put_u8(open);
            out.extend_from_slice(inside);
            out.put_u8(close);
        };
        match value {
            Value::Text(inside) => between(b'"', inside, b'"'),
            Value::List(inside) => between(b'[', inside, b']'),
            Value::Object(fields) => write(fields, out),
            Value::Item(fields) => {
                out.put_u8(b'[');
                write(fields, out);
                out.put_u8(b']');
            }
            Value::Last(text) | Value::Same(text) => out.extend_from_slice(text),
        }
    }
    out.put_u8(b'}');
}
