//! Parses requests as leniently as a careless server might.

/// The header that frames a body that has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Coding,
    Length,
}

/// A request that a server would see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) target: &'a str,
    pub(super) body: &'a [u8],
    /// The bytes from the beginning of all requests to the end of this one; `None` if its body does not end.
    pub(super) end: Option<usize>,
}

/// The requests one after the other. The last one may be incomplete.
pub(super) fn requests(bytes: &[u8], framing: Framing) -> Vec<Request<'_>> {
    let mut requests = Vec::new();
    let mut at = 0;
    while let Some((head, body)) = head(&bytes[at..]) {
        let begins = at + body;
        let length = if field(head, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            match (framing, length(head)) {
                (Framing::Length, Some(length)) => Some(length),
                _ => chunks(&bytes[begins..]),
            }
        } else {
            Some(length(head).unwrap_or(0))
        };
        let end = length.map(|length| begins + length).filter(|end| *end <= bytes.len());
        requests.push(Request {
            target: head.split_whitespace().nth(1).unwrap_or_default(),
            body: &bytes[begins..end.unwrap_or(bytes.len())],
            end,
        });
        let Some(end) = end else { break };
        at = end;
    }
    requests
}

/// A head and the offset of its body. A line may end without CR.
fn head(bytes: &[u8]) -> Option<(&str, usize)> {
    let mut at = 0;
    loop {
        let line = at + memchr::memchr(b'\n', &bytes[at..])?;
        let is_empty = matches!(bytes[at..line], [] | [b'\r']);
        at = line + 1;
        if is_empty {
            // A value that is not text frames nothing.
            return Some((std::str::from_utf8(&bytes[..at]).unwrap_or_default(), at));
        }
    }
}

/// The first value with this lower-case name.
fn field(head: &str, name: &str) -> Option<String> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim().to_ascii_lowercase())
}

fn length(head: &str) -> Option<usize> {
    field(head, "content-length")?.parse().ok()
}

/// The length of a chunked body with its trailers; `None` if it does not end.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + memchr::memchr(b'\n', &bytes[at..])?;
        let digits: Vec<_> = bytes[at..end].iter().copied().take_while(u8::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
        at = end + 1;
        if size == 0 {
            return Some(at + head(&bytes[at..])?.1);
        }
        // The line break after the chunk.
        at = at.checked_add(size)?.checked_add(2).filter(|at| *at <= bytes.len())?;
    }
}
