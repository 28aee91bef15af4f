//! One content record, read whole.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Value};

use crate::protocol::Framing;

const EVENT: &[u8] = b"data: ";

/// A record of which every field is known, so that nothing is lost when it is made one with another.
#[derive(Debug)]
pub(super) struct Mergeable(Map<String, Value>);

/// What joining two values of a field makes.
enum Joined {
    /// Texts and lists one after the other.
    Both,
    /// Any two; the later counts.
    Last,
    /// Two that are the same.
    Same,
    /// As its fields say.
    Inside(fn(&str) -> Option<Joined>),
    /// A list of one item, as its fields say.
    Item(fn(&str) -> Option<Joined>),
}

/// Fields of a record of `/api/chat` and `/api/generate`, and of `/v1/chat/completions` and `/v1/completions`.
fn record(field: &str) -> Option<Joined> {
    Some(match field {
        "response" | "thinking" | "logprobs" => Joined::Both,
        "created_at" | "created" => Joined::Last,
        "message" => Joined::Inside(message),
        "choices" => Joined::Item(choice),
        "model" | "remote_model" | "remote_host" | "done" | "id" | "object" | "system_fingerprint"
        | "usage" => Joined::Same,
        _ => return None,
    })
}

fn message(field: &str) -> Option<Joined> {
    Some(match field {
        "content" | "thinking" | "reasoning" | "reasoning_content" => Joined::Both,
        "role" => Joined::Same,
        _ => return None,
    })
}

fn choice(field: &str) -> Option<Joined> {
    Some(match field {
        "text" => Joined::Both,
        "delta" => Joined::Inside(message),
        "logprobs" => Joined::Inside(logprobs),
        "index" | "finish_reason" => Joined::Same,
        _ => return None,
    })
}

fn logprobs(field: &str) -> Option<Joined> {
    matches!(field, "content" | "refusal").then_some(Joined::Both)
}

impl Mergeable {
    /// Reads a record with its delimiter; `None` if it must pass alone.
    pub(super) fn read(bytes: &[u8], framing: Framing) -> Option<Mergeable> {
        let text = match framing {
            Framing::Ndjson => bytes.strip_suffix(b"\n")?,
            // One line of data and no other: a name or a number of the event would be lost.
            Framing::Sse => {
                let text = bytes.strip_prefix(EVENT)?.strip_suffix(b"\n\n")?;
                (!text.contains(&b'\n') && !text.contains(&b'\r')).then_some(text)?
            }
            Framing::Json => return None,
        };
        let fields: Map<String, Value> = serde_json::from_slice(text).ok()?;
        is_known(&fields, record).then_some(Mergeable(fields))
    }

    /// Makes both one, `later` after this; or gives it back.
    pub(super) fn join(&mut self, mut later: Mergeable) -> Result<(), Mergeable> {
        if !can_join(&self.0, &later.0, record) {
            return Err(later);
        }
        join(&mut self.0, &mut later.0, record);
        Ok(())
    }

    pub(super) fn write(&self, framing: Framing, out: &mut BytesMut) {
        if framing == Framing::Sse {
            out.extend_from_slice(EVENT);
        }
        serde_json::to_writer(out.writer(), &self.0).expect("a map of texts goes into memory");
        out.extend_from_slice(if framing == Framing::Sse { b"\n\n" } else { b"\n" });
    }
}

/// Every field is known, and is what it is known for.
fn is_known(fields: &Map<String, Value>, kinds: fn(&str) -> Option<Joined>) -> bool {
    fields.iter().all(|(name, value)| match (kinds(name), value) {
        (None, _) => false,
        (Some(Joined::Both), value) => value.is_string() || value.is_array(),
        (Some(Joined::Inside(kinds)), Value::Object(inside)) => is_known(inside, kinds),
        (Some(Joined::Inside(_)), value) => value.is_null(),
        (Some(Joined::Item(kinds)), Value::Array(items)) => match items.as_slice() {
            [Value::Object(item)] => is_known(item, kinds),
            _ => false,
        },
        (Some(Joined::Item(_)), _) => false,
        (Some(Joined::Last | Joined::Same), _) => true,
    })
}

/// Both have the same fields of the same kinds, and what must be the same is.
fn can_join(one: &Map<String, Value>, later: &Map<String, Value>, kinds: fn(&str) -> Option<Joined>) -> bool {
    let agree = |(name, value): (&String, &Value)| match (kinds(name), value, later.get(name)) {
        (Some(Joined::Both), Value::String(one), Some(Value::String(later))) => {
            // A thought that ends and an answer that begins stay two.
            one.is_empty() == later.is_empty()
        }
        (Some(Joined::Both), Value::Array(_), Some(Value::Array(_))) => true,
        (Some(Joined::Inside(kinds)), Value::Object(one), Some(Value::Object(later))) => {
            can_join(one, later, kinds)
        }
        (Some(Joined::Item(kinds)), Value::Array(one), Some(Value::Array(later))) => {
            let (one, later) = (one.first(), later.first());
            let both = one.and_then(Value::as_object).zip(later.and_then(Value::as_object));
            both.is_some_and(|(one, later)| can_join(one, later, kinds))
        }
        (Some(Joined::Last), _, Some(_)) => true,
        (Some(Joined::Same | Joined::Inside(_)), one, Some(later)) => one == later,
        _ => false,
    };
    one.len() == later.len() && one.iter().all(agree)
}

fn join(one: &mut Map<String, Value>, later: &mut Map<String, Value>, kinds: fn(&str) -> Option<Joined>) {
    for (name, value) in one.iter_mut() {
        let Some(later) = later.get_mut(name) else { continue };
        match (kinds(name), value, later) {
            (Some(Joined::Both), Value::String(one), Value::String(later)) => one.push_str(later),
            (Some(Joined::Both), Value::Array(one), Value::Array(later)) => one.append(later),
            (Some(Joined::Inside(kinds)), Value::Object(one), Value::Object(later)) => {
                join(one, later, kinds)
            }
            (Some(Joined::Item(kinds)), Value::Array(one), Value::Array(later)) => {
                if let (Some(Value::Object(one)), Some(Value::Object(later))) =
                    (one.first_mut(), later.first_mut())
                {
                    join(one, later, kinds);
                }
            }
            (Some(Joined::Last), one, later) => *one = later.take(),
            _ => {}
        }
    }
}
