//! Finds where each request begins in the bytes of a client, to check what hyper's parser omits.
//!
//! A client may send its next request while one runs, and one read may contain the end of one request and the
//! beginning of the next. So the heads are found by counting the bytes of each body.

use memchr::memchr;

use super::request_line::RequestLine;

/// The most bytes that are kept behind a head whose request has not begun. One read of hyper is shorter.
const MOST: usize = 1 << 20;

/// The bytes of a client on one connection. They begin with the head of a request.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    at: NextPart,
    lines: HeadLines,
    request_line: RequestLine,
    fragment: bool,
    /// The bytes behind a head. When the request begins, it is known whether they are a body.
    behind: Vec<u8>,
}

/// The part of a request that comes next.
#[derive(Debug, Default)]
enum NextPart {
    #[default]
    Head,
    /// The head is complete, and its request has not begun.
    Behind,
    /// This many bytes of a body remain.
    Body(u64),
    Chunked(Chunk),
    /// The bytes are not valid HTTP. hyper's parser reports that.
    Lost,
}

/// The part of a chunked body that comes next.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Size(u64),
    Extension(u64),
    Data(u64),
    End,
    Trailers,
}

/// Lines up to an empty one.
#[derive(Debug, Default)]
struct HeadLines {
    /// Whether a line that is not empty was seen. Empty lines before a request are skipped (RFC 9112 2.2).
    has_begun: bool,
    in_line: bool,
}

impl HeadLines {
    /// The offset after the empty line, if it is in `bytes`.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_text = |line: &[u8]| line.iter().any(|byte| *byte != b'\r');
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let is_empty = !self.in_line && !is_text(&bytes[at..at + length]);
            at += length + 1;
            self.in_line = false;
            if is_empty && self.has_begun {
                return Some(at);
            }
            self.has_begun |= !is_empty;
        }
        self.in_line |= is_text(&bytes[at..]);
        self.has_begun |= self.in_line;
        None
    }
}

impl Chunk {
    /// The part that follows a byte of the framing; `None` if the byte is invalid there.
    fn next(self, byte: u8) -> Option<Chunk> {
        match (self, byte) {
            (Chunk::Size(0) | Chunk::Extension(0), b'\n') => Some(Chunk::Trailers),
            (Chunk::Size(size) | Chunk::Extension(size), b'\n') => Some(Chunk::Data(size)),
            (Chunk::Size(size), b'\r') => Some(Chunk::Size(size)),
            (Chunk::Size(size), b';' | b' ' | b'\t') => Some(Chunk::Extension(size)),
            (Chunk::Size(size), digit) => {
                let digit = char::from(digit).to_digit(16)?;
                Some(Chunk::Size(size.checked_mul(16)?.checked_add(digit.into())?))
            }
            (Chunk::End, b'\n') => Some(Chunk::Size(0)),
            (Chunk::End, b'\r') => Some(Chunk::End),
            (Chunk::Extension(_), _) => Some(self),
            (Chunk::End | Chunk::Data(_) | Chunk::Trailers, _) => None,
        }
    }
}

impl Arrivals {
    /// Reads the next bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// Begins the request whose head came next. Its body has this many bytes; `None`: the body is chunked. Returns
    /// true if the target of the request has a fragment.
    pub(super) fn begin(&mut self, length: Option<u64>) -> bool {
        if !matches!(self.at, NextPart::Behind) {
            self.at = NextPart::Lost;
            return false;
        }
        self.at = length.map_or(NextPart::Chunked(Chunk::Size(0)), NextPart::Body);
        let (fragment, behind) = (self.fragment, std::mem::take(&mut self.behind));
        self.read(&behind);
        fragment
    }

    /// Reads one part and returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match &mut self.at {
            NextPart::Head => {
                let end = self.lines.end(bytes);
                let (head, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.fragment |= self.request_line.read(head);
                if end.is_some() {
                    self.at = NextPart::Behind;
                }
                rest
            }
            NextPart::Behind if self.behind.len() + bytes.len() <= MOST => {
                self.behind.extend_from_slice(bytes);
                &[]
            }
            NextPart::Behind | NextPart::Lost => {
                *self = Arrivals { at: NextPart::Lost, ..Arrivals::default() };
                &[]
            }
            NextPart::Body(0) => {
                *self = Arrivals::default();
                bytes
            }
            NextPart::Body(left) | NextPart::Chunked(Chunk::Data(left)) if *left > 0 => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                &bytes[taken..]
            }
            NextPart::Chunked(Chunk::Data(_)) => {
                self.at = NextPart::Chunked(Chunk::End);
                bytes
            }
            NextPart::Chunked(Chunk::Trailers) => match self.lines.end(bytes) {
                Some(end) => {
                    *self = Arrivals::default();
                    &bytes[end..]
                }
                None => &[],
            },
            NextPart::Chunked(chunk) => {
                self.at = chunk.next(bytes[0]).map_or(NextPart::Lost, NextPart::Chunked);
                // An empty line is the end, even if no line came before it.
                self.lines = HeadLines { has_begun: true, in_line: false };
                &bytes[1..]
            }
            // The guard of this arm takes every other byte.
            NextPart::Body(_) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests, the length of each body, and whether each target has a fragment.
    const REQUESTS: [(&str, Option<u64>, bool); 9] = [
        ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", Some(0), false),
        ("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", Some(0), true),
        ("\r\nPOST /a HTTP/1.1\r\nHost: h\r\n\r\nGET /#b HTTP/1.1\r\n\r\n", Some(20), false),
        ("POST /#a HTTP/1.1\nHost: h\n\nbody", Some(4), true),
        ("POST /a HTTP/1.1\r\nHost: h\r\n\r\n0\r\n\r\n", None, false),
        ("POST /a HTTP/1.1\r\n\r\n14;x=y\r\nGET /#b HTTP/1.1\r\n\r\n\r\n00\r\nA: #\r\n\r\n", None, false),
        ("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", Some(0), true),
        ("POST /a HTTP/1.1\r\n\r\n1\r\na\r\na \r\n0123456789\r\n0\r\n\r\n", None, false),
        ("DELETE /a?b#c HTTP/1.0\r\n\r\n", Some(0), true),
    ];

    /// Whether each target has a fragment, if the bytes come in pieces of this length. Each request begins as soon
    /// as its head is complete, or as late as possible.
    fn found(piece: usize, late: bool) -> Vec<bool> {
        let all: String = REQUESTS.iter().map(|(request, ..)| *request).collect();
        let (mut arrivals, mut found) = (Arrivals::default(), Vec::new());
        let mut begin = |arrivals: &mut Arrivals| {
            while matches!(arrivals.at, NextPart::Behind) {
                found.push(arrivals.begin(REQUESTS[found.len()].1));
            }
        };
        for bytes in all.as_bytes().chunks(piece) {
            arrivals.read(bytes);
            if !late {
                begin(&mut arrivals);
            }
        }
        begin(&mut arrivals);
        found
    }

    #[test]
    fn fragment_is_found_in_any_request_with_bytes_split_anywhere() {
        let expected: Vec<_> = REQUESTS.iter().map(|(.., fragment)| *fragment).collect();
        for piece in 1..=400 {
            assert_eq!(found(piece, false), expected, "pieces of {piece}");
            assert_eq!(found(piece, true), expected, "pieces of {piece}, late");
        }
    }

    #[test]
    fn malformed_request_ends_search_for_fragments() {
        for (text, length) in [
            ("POST / HTTP/1.1\r\n\r\nxyz\r\n", None),
            ("POST / HTTP/1.1\r\n\r\n1\r\nab", None),
            ("POST / HTTP/1.1\r\n\r\n11111111111111111\r\n", None),
        ] {
            let mut arrivals = Arrivals::default();
            arrivals.read(text.as_bytes());
            assert!(!arrivals.begin(length));
            assert!(matches!(arrivals.at, NextPart::Lost), "{text:?}: {arrivals:?}");
            assert!(!arrivals.begin(Some(0)));
        }
        let mut arrivals = Arrivals::default();
        arrivals.read(b"GET / HTTP/1.1\r\n\r\n");
        arrivals.read(&vec![b'a'; MOST]);
        assert!(matches!(arrivals.at, NextPart::Behind));
        arrivals.read(b"a");
        assert!(matches!(arrivals.at, NextPart::Lost) && arrivals.behind.capacity() == 0);
    }
}
