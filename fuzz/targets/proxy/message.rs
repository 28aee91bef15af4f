//! HTTP/1.1 by RFC 9112, without any tolerance: the bytes that either side received must have exactly one reading.

const FIELDS: usize = 512;

/// A request that the upstream received, as far as it came.
pub struct Request {
    /// The length in bytes, if the request is complete.
    pub length: Option<usize>,
}

/// A response that the client received, as far as it came.
pub struct Response {
    pub status: u16,
    /// The value of the field `x-answer`.
    pub answer: Option<usize>,
    pub body: Vec<u8>,
    /// The length in bytes, if the response is complete.
    pub length: Option<usize>,
}

enum Framing {
    Nothing,
    Length(usize),
    Chunked,
    ToTheEnd,
}

/// Reads the next request. `None`: its head is incomplete.
pub fn request(bytes: &[u8], host: &str) -> Option<Request> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()));
    let httparse::Status::Complete(head) = parsed else { return None };
    let hosts: Vec<_> = values(request.headers, "host").collect();
    assert_eq!(hosts, [host.as_bytes()], "one Host, the upstream's");
    let framing = framing(request.headers).unwrap_or(Framing::Nothing);
    let body = body(&framing, &bytes[head..], false).1;
    Some(Request { length: body.map(|body| head + body) })
}

/// Reads the next response that is not interim. `None`: its head is incomplete.
pub fn response(bytes: &[u8], to: &str, ended: bool) -> Option<Response> {
    let mut at = 0;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let rest = &bytes[at..];
        let parsed = response.parse(rest).unwrap_or_else(|error| panic!("{error}: {}", rest.escape_ascii()));
        let httparse::Status::Complete(head) = parsed else { return None };
        let status = response.code.expect("a whole head has a status");
        assert!((100..=999).contains(&status), "{status}");
        at += head;
        if status < 200 && status != 101 {
            continue;
        }
        let answer = values(response.headers, super::script::ANSWER).next();
        let answer = answer.and_then(|value| str::from_utf8(value).ok()?.parse().ok());
        let told = framing(response.headers);
        let has_none = to == "HEAD" || matches!(status, 101 | 204 | 304);
        let framing = if has_none { Framing::Nothing } else { told.unwrap_or(Framing::ToTheEnd) };
        let (body, length) = body(&framing, &bytes[at..], ended);
        return Some(Response { status, answer, body, length: length.map(|length| at + length) });
    }
}

fn values<'a>(fields: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Returns how the length of a body is declared, if it is.
fn framing(fields: &[httparse::Header<'_>]) -> Option<Framing> {
    let lengths: Vec<_> = values(fields, "content-length").collect();
    let codings: Vec<_> = values(fields, "transfer-encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => None,
        ([], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"), "{}", coding.escape_ascii());
            Some(Framing::Chunked)
        }
        ([length], []) => Some(Framing::Length(digits(length, 10).expect("a length is a number"))),
        _ => panic!("a body in two ways: {lengths:?} {codings:?}"),
    }
}

/// Returns the available part of a body, and the bytes that it took if it is complete.
fn body(framing: &Framing, bytes: &[u8], ended: bool) -> (Vec<u8>, Option<usize>) {
    match *framing {
        Framing::Nothing => (Vec::new(), Some(0)),
        Framing::Length(length) => {
            (bytes[..length.min(bytes.len())].to_vec(), (bytes.len() >= length).then_some(length))
        }
        Framing::Chunked => chunked(bytes),
        Framing::ToTheEnd => (bytes.to_vec(), ended.then_some(bytes.len())),
    }
}

fn chunked(bytes: &[u8]) -> (Vec<u8>, Option<usize>) {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = line(&bytes[at..]) else { return (body, None) };
        at += line.len() + 2;
        let size = line.split(|byte| *byte == b';').next().and_then(|size| digits(size, 16));
        let size = size.unwrap_or_else(|| panic!("no size of a chunk: {}", line.escape_ascii()));
        if size == 0 {
            break;
        }
        let rest = &bytes[at..];
        body.extend(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            return (body, None);
        }
        assert_eq!(&rest[size..size + 2], b"\r\n", "a chunk ends");
        at += size + 2;
    }
    // Trailers, and the empty line.
    loop {
        let Some(line) = line(&bytes[at..]) else { return (body, None) };
        at += line.len() + 2;
        if line.is_empty() {
            return (body, Some(at));
        }
    }
}

fn line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.windows(2).position(|end| end == b"\r\n").map(|end| &bytes[..end])
}

fn digits(text: &[u8], radix: u32) -> Option<usize> {
    let text = str::from_utf8(text).ok()?;
    // A sign is not a digit.
    if text.starts_with('+') { None } else { usize::from_str_radix(text, radix).ok() }
}
