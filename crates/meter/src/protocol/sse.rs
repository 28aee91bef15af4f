//! Server-sent events, parsed as in the HTML standard.

use memchr::{memchr, memchr2};

use super::gather::{Framed, Gather, empty};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Separates events at blank lines. A line ends with LF, CR, or CR LF, which may be split between two reads.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) gather: Gather,
    /// The data of an event that has several lines of data.
    joined: Vec<u8>,
    /// Whether the current line has bytes.
    in_line: bool,
    /// The last byte was a CR, so an LF that follows belongs to it.
    after_cr: bool,
    /// Whether the first event has passed. Only before it can a byte order mark come.
    begun: bool,
}

/// An event with data.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) data: &'a [u8],
    /// Whether its name is `error`.
    pub(super) is_error: bool,
}

/// An event with data, or the reason why there is none.
pub(super) type FoundEvent<'a> = Result<Event<'a>, TooLong>;

/// See [`Framed::TooLong`].
#[derive(Debug)]
pub(super) struct TooLong;

impl Events {
    pub(super) fn scan(&mut self, bytes: &[u8], mut found: impl FnMut(FoundEvent<'_>)) {
        let Events { gather, joined, in_line, after_cr, begun } = self;
        let mut start = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if *after_cr {
                *after_cr = false;
                if byte == b'\n' {
                    at += 1;
                    continue;
                }
            }
            let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else {
                *in_line = true;
                break;
            };
            let end = at + length;
            *after_cr = bytes[end] == b'\r';
            at = end + 1;
            let is_blank = length == 0 && !*in_line;
            *in_line = false;
            if is_blank {
                gather.end(&bytes[start..end], |block| read(block, joined, begun, &mut found));
                start = at;
            }
        }
        gather.hold(&bytes[start..], |block| read(block, joined, begun, &mut found));
    }

    /// Ends the body. To a browser, an event without its blank line is not an event. Here it is read, because a
    /// server may close directly after its last event.
    pub(super) fn finish(&mut self, mut found: impl FnMut(FoundEvent<'_>)) {
        let Events { gather, joined, in_line, after_cr, begun } = self;
        gather.end(b"", |block| read(block, joined, begun, &mut found));
        (*in_line, *after_cr, *begun) = (false, false, false);
    }

    /// Returns the allocated bytes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.gather.capacity() + self.joined.capacity()
    }
}

fn read(block: Framed<'_>, joined: &mut Vec<u8>, begun: &mut bool, found: &mut impl FnMut(FoundEvent<'_>)) {
    let is_first = !std::mem::replace(begun, true);
    match block {
        Framed::TooLong => found(Err(TooLong)),
        Framed::Text(text) => {
            let text = text.strip_prefix(BOM).filter(|_| is_first).unwrap_or(text);
            if let Some(event) = parse(text, joined) {
                found(Ok(event));
                empty(joined);
            }
        }
    }
}

/// Returns the event of a block of lines, if it has data. Blank lines in the block, such as the LF of the CR that
/// ended the last event, are ignored.
fn parse<'a>(mut text: &'a [u8], joined: &'a mut Vec<u8>) -> Option<Event<'a>> {
    let mut data: Option<&[u8]> = None;
    let mut lines = 0_usize;
    let mut is_error = false;
    while !text.is_empty() {
        let end = memchr2(b'\n', b'\r', text).unwrap_or(text.len());
        let line = &text[..end];
        text = text.get(end + 1..).unwrap_or_default();
        match field(line) {
            (b"data", value) => {
                lines += 1;
                match data {
                    None => data = Some(value),
                    Some(first) => {
                        if lines == 2 {
                            joined.clear();
                            joined.extend_from_slice(first);
                        }
                        joined.push(b'\n');
                        joined.extend_from_slice(value);
                    }
                }
            }
            (b"event", value) => is_error = value == b"error",
            _ => {}
        }
    }
    let data = if lines > 1 { joined } else { data? };
    Some(Event { data, is_error })
}

/// Returns the name and the value of a line. A comment has an empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr(b':', line) else { return (line, b"") };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}
