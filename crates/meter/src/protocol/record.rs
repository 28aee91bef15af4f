//! One record of a stream: an NDJSON line, an SSE event, or a whole JSON response.

mod anthropic;
mod draft;
mod finish;
mod kind;
mod ollama;
mod openai;
#[cfg(test)]
mod tests;

use super::Dialect;
use super::json::Cursor;

pub use finish::FinishReason;
pub use kind::{Kind, Record};

/// The reason why a record was forwarded without being understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unscanned {
    /// It is longer than 8 MiB.
    TooLong,
    /// It does not match the framing.
    Malformed,
    /// Its content coding is unknown, or its data does not match the coding. This covers the body from here on, and
    /// is reported once.
    Coding,
}

/// Reads the text of one record. `None`: the text is white space, which is not a record. `whole` states that it is a
/// whole response and not a record of a stream.
pub(super) fn read(text: &[u8], dialect: Dialect, whole: bool) -> Option<Result<Record, Unscanned>> {
    let mut value = Cursor::new(text);
    let Ok(first) = value.peek() else { return None };
    if first != b'{' {
        let is_done = dialect == Dialect::OpenAi && !whole && text.trim_ascii() == openai::DONE;
        let terminal = draft::Draft { terminal: true, ..draft::Draft::default() };
        return Some(if is_done { Ok(terminal.record()) } else { Err(Unscanned::Malformed) });
    }
    let draft = match dialect {
        Dialect::Ollama => ollama::read(&mut value, whole),
        Dialect::OpenAi => openai::read(&mut value),
        Dialect::Anthropic => anthropic::read(&mut value),
    };
    Some(match draft {
        Ok(mut draft) if value.at_end() => {
            if whole {
                draft.end_whole_answer();
            }
            Ok(draft.record())
        }
        _ => Err(Unscanned::Malformed),
    })
}
