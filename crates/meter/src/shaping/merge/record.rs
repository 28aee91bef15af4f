//! One content record, read completely.
//!
//! Texts are joined as they are written, with their escapes, and a number stays its text. A number that is read as a
//! float and written again could lose its last digit.

use bytes::{BufMut, Bytes, BytesMut};
use serde_core::de::IgnoredAny;

use crate::protocol::{Framing, object};

const EVENT: &[u8] = b"data: ";

/// A record whose fields are all known, so that merging loses nothing.
#[derive(Debug)]
pub(super) struct Mergeable(Vec<RecordField>);

#[derive(Debug)]
struct RecordField {
    name: &'static str,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// The bytes between its quotes.
    Text(Vec<u8>),
    /// The bytes between its brackets.
    List(Vec<u8>),
    Object(Vec<RecordField>),
    /// A list with one object.
    Item(Vec<RecordField>),
    /// A value that the later record overwrites.
    Last(Bytes),
    /// A value that must be the same in both records.
    Same(Bytes),
}

/// How two values of a field are merged.
#[derive(Clone, Copy, Debug)]
enum Joined {
    /// Texts and lists are joined.
    Both,
    /// The later value is used.
    Last,
    /// Both values must be the same.
    Same,
    /// The fields inside decide.
    Inside(Fields),
    /// A list with one item, whose fields decide.
    Item(Fields),
}

type Fields = &'static [(&'static str, Joined)];

/// The fields of records of `/api/chat`, `/api/generate`, `/v1/chat/completions` and `/v1/completions`.
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
    /// Reads a record with its delimiter. `None`: it must pass alone.
    pub(super) fn read(bytes: &Bytes, framing: Framing) -> Option<Mergeable> {
        let text = match framing {
            Framing::Ndjson => bytes.strip_suffix(b"\n")?,
            // There is one line of data and no other line. A name or an id of the event would be lost.
            Framing::Sse => {
                let text = bytes.strip_prefix(EVENT)?.strip_suffix(b"\n\n")?;
                (!text.contains(&b'\n') && !text.contains(&b'\r')).then_some(text)?
            }
            Framing::Json => return None,
        };
        // The code below skips values without validating them, so they are validated here.
        std::str::from_utf8(text).ok()?;
        serde_json::from_slice::<IgnoredAny>(text).ok()?;
        read(bytes, text, RECORD).map(Mergeable)
    }

    /// Merges `later` into this record, or returns it.
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

/// Reads the fields of an object within a record. `None`: a field is unknown, occurs twice, or has a value of another
/// type.
fn read(record: &Bytes, text: &[u8], known: Fields) -> Option<Vec<RecordField>> {
    let mut fields: Vec<RecordField> = Vec::new();
    let is_known = object::visit(text, |key, value| {
        let known = known.iter().find(|(name, _)| name.as_bytes() == key);
        let Some((name, joined)) = known.filter(|(name, _)| fields.iter().all(|field| field.name != *name))
        else {
            return false;
        };
        let value = Value::read(record, value, *joined);
        value.map(|value| fields.push(RecordField { name, value })).is_some()
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

/// Whether a text has no half of a surrogate pair. Joined with another half, it would become a letter that neither
/// text contains.
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

/// Returns the surrogate that an escape of the form `\ud83d` represents.
fn surrogate(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    let letter = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..0xe000).contains(&letter).then_some(letter)
}

/// Whether both have the same fields of the same kinds, and the same values where these must be the same.
fn can_join(one: &[RecordField], later: &[RecordField]) -> bool {
    let agree = |one: &RecordField| match (&one.value, later.iter().find(|later| later.name == one.name)) {
        (_, None) => false,
        (value, Some(later)) => match (value, &later.value) {
            // The end of a thought and the beginning of an answer are not merged.
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

fn join(one: &mut [RecordField], later: Vec<RecordField>) {
    for RecordField { name, value } in later {
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

fn write(fields: &[RecordField], out: &mut BytesMut) {
    out.put_u8(b'{');
    for (place, RecordField { name, value }) in fields.iter().enumerate() {
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
