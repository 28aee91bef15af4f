//! Walks over the outermost object of a body, piece by piece.

use memchr::{memchr2, memchr3};

use super::{
    KeepAlive, LoadOptions, Peek,
    field::{MAX_KEY, OuterField, carries_data, carries_reasoning, is_include_usage, text},
};
use crate::protocol::is_model_name;

/// The raw bytes of a model's name that are kept. A longer text has more letters than a name may have, even if all of
/// them are escapes.
const MAX_NAME: usize = 2048;
/// The raw bytes of a number or a word that are kept: one more than the longest word has.
const MAX_WORD: usize = 6;

/// The bytes of the model's options that are kept.
const MAX_OPTIONS: usize = 4096;
/// The bytes of `keep_alive` that are kept: a duration of Go.
const MAX_KEEP_ALIVE: usize = 32;

/// Reads a body in pieces, each of them once. [`peek`](PeekReader::peek) returns the parts that were seen so far.
///
/// ```
/// use streamgauge_meter::protocol::PeekReader;
///
/// let mut reader = PeekReader::default();
/// reader.read(br#"{"prompt":"Hi","mod"#);
/// assert!(!reader.knows_model());
/// reader.read(br#"el":"llama3.2"}"#);
/// assert_eq!(reader.peek().model.as_deref(), Some("llama3.2"));
/// ```
#[derive(Debug, Default)]
pub struct PeekReader {
    /// The number of bytes read so far.
    at: u64,
    state: State,
    /// Whether the last byte of a string was a backslash, which escapes the next one.
    escaped: bool,
    /// The beginning of the current string, number or word, as it is written.
    raw: Vec<u8>,
    /// Its length so far.
    length: u64,
    field: OuterField,
    nest: Nest,
    /// Whether the strings that are read now carry data instead of text.
    in_data: bool,
    data: u64,
    /// The bytes of fields that are no part of the prompt.
    beside: u64,
    /// The bytes that escapes have beyond what they stand for.
    escapes: u64,
    /// The beginning of the model's options, as they are written.
    options: Vec<u8>,
    keep_alive: Option<KeepAlive>,
    names: [Option<Name>; 3],
    /// The value that a `null` restores.
    earlier: Option<Name>,
    stream: Option<bool>,
    says_usage: bool,
    is_constrained: bool,
    end: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the object.
    #[default]
    Start,
    /// Before the first key, or the end of the object.
    FirstKey,
    /// After a comma.
    NextKey,
    Key,
    /// After a key.
    Colon,
    /// After a colon.
    Value,
    Text,
    /// A number, `true`, `false` or `null`.
    Word,
    /// In an array or an object.
    Nested,
    NestedText,
    /// After a string in an array or an object. A colon makes the string a key.
    AfterNestedText,
    AfterValue,
    /// After the object.
    End,
    /// The body is not a JSON object.
    Broken,
}

/// The array or object that is skipped, by counting its own kind of bracket.
#[derive(Debug, Default)]
struct Nest {
    open: u8,
    close: u8,
    depth: usize,
}

#[derive(Clone, Debug)]
enum Name {
    Text(String),
    /// Longer than any name. An older field does not replace it.
    TooLong,
}

impl PeekReader {
    /// Reads the next bytes of the body.
    pub fn read(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = self.step(rest);
            self.at += taken as u64;
            if self.field.is_beside_prompt() {
                self.beside += taken as u64;
            }
            if self.field == OuterField::Options {
                let room = MAX_OPTIONS.saturating_sub(self.options.len());
                self.options.extend_from_slice(&rest[..taken.min(room)]);
            }
            rest = &rest[taken..];
        }
    }

    /// Returns the parts that were seen so far.
    #[must_use]
    pub fn peek(&self) -> Peek {
        let model = match self.name() {
            Some(Name::Text(text)) if is_model_name(text) => Some(text.clone()),
            _ => None,
        };
        // A string whose end has not come is longer than any key.
        let open = matches!(self.state, State::Text | State::NestedText)
            && self.in_data
            && self.length > MAX_KEY as u64;
        let data = self.data + if open { self.length } else { 0 };
        let unasked = self.state == State::End && self.stream == Some(true) && !self.says_usage;
        Peek {
            model,
            stream: self.stream,
            constrained: (self.is_constrained || self.state == State::End).then_some(self.is_constrained),
            prompt_bytes: self.at.saturating_sub(data + self.escapes + self.beside),
            load: LoadOptions::read(&self.options, self.keep_alive),
            usage_unasked_at: self.end.filter(|_| unasked),
        }
    }

    /// Whether a name of the model was seen.
    #[must_use]
    pub fn knows_model(&self) -> bool {
        self.name().is_some()
    }

    /// Whether the rest of the body cannot change the result, because its object has ended or it is not an object.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::End | State::Broken)
    }

    /// Returns the allocated bytes.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.raw.capacity()
    }

    fn name(&self) -> Option<&Name> {
        let is_name = |name: &&Name| !matches!(name, Name::Text(text) if text.is_empty());
        self.names.iter().flatten().find(is_name)
    }

    /// Reads at least one of the bytes, or enters another state.
    fn step(&mut self, rest: &[u8]) -> usize {
        match self.state {
            State::Key | State::Text | State::NestedText => return self.string(rest),
            State::Word => return self.word(rest),
            State::Nested => return self.nested(rest),
            State::Broken => return rest.len(),
            _ => {}
        }
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let Some(at) = rest.iter().position(|byte| !space(byte)) else { return rest.len() };
        let mut taken = at + 1;
        self.state = match (self.state, rest[at]) {
            (State::Start, b'{') => State::FirstKey,
            (State::FirstKey | State::NextKey, b'"') => self.begin(State::Key),
            (State::FirstKey | State::AfterValue, b'}') => {
                self.end = Some(self.at + at as u64);
                State::End
            }
            (State::Colon, b':') => State::Value,
            (State::AfterValue, b',') => State::NextKey,
            (State::Value, first) => {
                self.value_begins(first);
                match first {
                    b'"' => self.begin(State::Text),
                    b'[' | b'{' => {
                        self.nest = Nest { open: first, close: first + 2, depth: 1 };
                        State::Nested
                    }
                    b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                        taken = at;
                        self.begin(State::Word)
                    }
                    _ => State::Broken,
                }
            }
            (State::AfterNestedText, next) => {
                if next == b':' {
                    self.nested_key();
                } else {
                    self.count_data();
                }
                taken = at;
                State::Nested
            }
            _ => State::Broken,
        };
        taken
    }

    /// Begins a string, a number or a word.
    fn begin(&mut self, state: State) -> State {
        self.raw.clear();
        self.length = 0;
        state
    }

    /// Keeps the beginning of the current value.
    fn keep(&mut self, bytes: &[u8]) {
        let most = match (self.state, self.field) {
            (State::Word | State::Text, OuterField::KeepAlive) => MAX_KEEP_ALIVE,
            (State::Word, _) => MAX_WORD,
            (State::Text, OuterField::Name(_)) => MAX_NAME,
            (State::Text, _) => 0,
            _ => MAX_KEY,
        };
        self.length += bytes.len() as u64;
        let room = most.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether the current value is longer than the part that is kept.
    fn is_cut(&self) -> bool {
        self.length > self.raw.len() as u64
    }

    fn string(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        let is_at_end = loop {
            if self.escaped && at < rest.len() {
                self.escaped = false;
                // Six bytes stand for a letter of up to three, and two bytes for one of one.
                self.escapes += if rest[at] == b'u' { 3 } else { 1 };
                at += 1;
            }
            let Some(offset) = memchr2(b'"', b'\\', &rest[at..]) else { break false };
            at += offset;
            if rest[at] == b'"' {
                break true;
            }
            self.escaped = true;
            at += 1;
        };
        if !is_at_end {
            self.keep(rest);
            return rest.len();
        }
        self.keep(&rest[..at]);
        self.state = match self.state {
            State::Key => {
                self.key();
                State::Colon
            }
            State::Text => {
                self.text();
                State::AfterValue
            }
            _ => State::AfterNestedText,
        };
        at + 1
    }

    fn key(&mut self) {
        self.field = if self.is_cut() { OuterField::Other } else { OuterField::of(&self.raw) };
        self.in_data = is_no_prompt(&self.raw);
    }

    fn nested_key(&mut self) {
        self.in_data = is_no_prompt(&self.raw);
        let is_option =
            self.field == OuterField::StreamOptions && self.nest.open == b'{' && self.nest.depth == 1;
        self.says_usage |= is_option && !self.is_cut() && is_include_usage(&self.raw);
    }

    fn text(&mut self) {
        self.count_data();
        self.is_constrained |= self.field.constrains() && self.length > 0;
        if self.field == OuterField::KeepAlive {
            self.keep_alive = text(&self.raw).and_then(|text| KeepAlive::read(&text));
        }
        if let OuterField::Name(place) = self.field {
            self.names[place] =
                if self.is_cut() { Some(Name::TooLong) } else { text(&self.raw).map(Name::Text) };
        }
    }

    fn count_data(&mut self) {
        if self.in_data {
            self.data += self.length;
        }
    }

    /// The value of an earlier field with the same name no longer counts, even if this value cannot be read.
    fn value_begins(&mut self, first: u8) {
        match self.field {
            OuterField::Name(place) => self.earlier = self.names[place].take(),
            OuterField::Stream => self.stream = None,
            // A list or a text: Ollama reports the mistake.
            OuterField::StreamOptions => self.says_usage |= first != b'{' && first != b'n',
            OuterField::KeepAlive => self.keep_alive = None,
            OuterField::Options => self.options.clear(),
            OuterField::Tools | OuterField::Format | OuterField::Other => {}
        }
    }

    /// A word counts as soon as its last letter has come.
    fn word(&mut self, rest: &[u8]) -> usize {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.keep(&rest[..length]);
        let word = &self.raw[..];
        match self.field {
            OuterField::Name(place) if word == b"null" => {
                if let Some(earlier) = self.earlier.take() {
                    self.names[place] = Some(earlier);
                }
            }
            OuterField::Stream => {
                self.stream = match word {
                    b"true" => Some(true),
                    b"false" => Some(false),
                    // Ollama stores it behind a pointer, which `null` resets.
                    _ => None,
                };
            }
            OuterField::KeepAlive => {
                self.keep_alive = std::str::from_utf8(word).ok().and_then(KeepAlive::read);
            }
            OuterField::StreamOptions if word == b"null" => self.says_usage = false,
            _ => {}
        }
        if length < rest.len() {
            let is_value = match word.first() {
                Some(b'0'..=b'9' | b'-') => true,
                _ => matches!(word, b"true" | b"false" | b"null"),
            };
            self.state = if is_value { State::AfterValue } else { State::Broken };
        }
        length
    }

    fn nested(&mut self, rest: &[u8]) -> usize {
        let Nest { open, close, depth } = &mut self.nest;
        let found = memchr3(b'"', *open, *close, rest);
        // Clients may send an empty list of tools, which offers none. A list of lists is not a list of tools.
        let inside = &rest[..found.map_or(rest.len(), |at| at + usize::from(rest[at] != *close))];
        self.is_constrained |=
            self.field.constrains() && inside.iter().any(|byte| !byte.is_ascii_whitespace());
        let Some(at) = found else { return rest.len() };
        match rest[at] {
            b'"' => self.state = self.begin(State::NestedText),
            byte if byte == *open => *depth += 1,
            _ => {
                *depth -= 1;
                if *depth == 0 {
                    self.state = State::AfterValue;
                }
            }
        }
        at + 1
    }
}

/// Whether strings under a key are no text of the prompt.
fn is_no_prompt(key: &[u8]) -> bool {
    carries_data(key) || carries_reasoning(key)
}
