//! The actions of the two sides of an execution, from the bytes of the fuzzer.
//!
//! The first three bytes choose the number of requests, how they are cut into writes, and how the client leaves. The
//! byte 0xFF splits the rest into the requests, followed by the answers to the requests that arrive at the upstream,
//! in order.

const ROUTES: [(&str, &str); 16] = [
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("GET", "/api/version"),
    ("GET", "/api/tags"),
    ("HEAD", "/"),
    ("POST", "/api/embed"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("DELETE", "/api/delete"),
    ("POST", "/api/pull"),
    ("POST", "/api/blobs/sha256:00"),
    ("HEAD", "/api/tags"),
    ("GET", "/v1/models"),
    ("PUT", "/other?a=b"),
];
const STATUSES: [u16; 8] = [200, 200, 200, 404, 500, 204, 304, 201];
const TYPES: [&str; 4] = ["application/x-ndjson", "text/event-stream", "application/json; charset=utf-8", ""];
/// A short body has one piece per byte. A long body has at most this many pieces.
const PIECES: usize = 64;
/// The maximum number of requests.
const PARTS: usize = 4;

/// The field that identifies the answer to which a response belongs.
pub const ANSWER: &str = "x-answer";

#[derive(Debug)]
pub struct Script {
    pub requests: Vec<Request>,
    /// Bytes per write of the client.
    pub cut: usize,
    pub leave: Leave,
    pub answers: Vec<Answer>,
    /// Whether no answer claims to be another one.
    pub is_told_apart: bool,
}

/// How the client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It reads until the connection ends or no more data comes.
    Stay,
    /// It stops writing.
    HalfClose,
    /// It closes after this many bytes of its input.
    Close(usize),
    /// It resets the connection after this many bytes of its input.
    Reset(usize),
}

#[derive(Debug)]
pub struct Request {
    pub bytes: Vec<u8>,
    /// The method, if the request is one, complete.
    pub method: Option<&'static str>,
    /// Whether the sidecar reads the whole request. hyper does not forward a body of unknown length that comes with
    /// GET or HEAD.
    pub is_read: bool,
}

#[derive(Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    /// Bytes per write.
    pub cut: usize,
    pub then: Then,
    pub made: Option<Made>,
}

/// The upstream's next step after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Wait,
    HalfClose,
    Reset,
}

/// The content of an answer that was generated.
#[derive(Debug)]
pub struct Made {
    pub status: u16,
    /// The part of the body that was sent in response to GET.
    pub body: Vec<u8>,
    /// Whether the body was complete, in response to GET.
    pub is_whole: bool,
    /// Whether the head was complete, which is the whole response to HEAD.
    pub has_head: bool,
}

impl Script {
    pub fn of(data: &[u8]) -> Option<Script> {
        let (&[count, cut, end], rest) = data.split_first_chunk()?;
        let mut parts = rest.split(|byte| *byte == 0xFF);
        let requests =
            parts.by_ref().take(1 + usize::from(count) % PARTS).map(Request::of).collect::<Vec<_>>();
        let answers =
            parts.take(PARTS).enumerate().map(|(number, part)| Answer::of(number, part)).collect::<Vec<_>>();
        let after = usize::from(end >> 3) * 16;
        let leave = match end & 7 {
            0..=4 => Leave::Stay,
            5 => Leave::HalfClose,
            6 => Leave::Close(after),
            _ => Leave::Reset(after),
        };
        let is_told_apart = answers.iter().filter(|answer| answer.made.is_none()).all(|answer| {
            !answer.bytes.to_ascii_lowercase().windows(ANSWER.len()).any(|at| at == ANSWER.as_bytes())
        });
        Some(Script { requests, cut: cut.into(), leave, answers, is_told_apart })
    }

    /// Whether the client sends exactly one complete request that is read completely.
    pub fn is_one_request(&self) -> bool {
        matches!(self.requests[..], [Request { method: Some(_), is_read: true, .. }])
    }
}

impl Request {
    fn of(part: &[u8]) -> Request {
        let raw = |bytes: &[u8]| Request { bytes: bytes.to_vec(), method: None, is_read: false };
        let Some((&[route, framing], body)) = part.split_first_chunk() else { return raw(part) };
        if route % 4 == 0 {
            return raw(&part[1..]);
        }
        let (method, path) = ROUTES[usize::from(route >> 2) % ROUTES.len()];
        let model = b"{\"model\":\"m\",\"stream\":true,\"messages\":[]}";
        let body = if framing >> 5 == 0 { &model[..] } else { body };
        let version = if framing & 0x10 == 0 { "HTTP/1.1" } else { "HTTP/1.0" };
        let close = if framing & 8 == 0 { "" } else { "Connection: close\r\n" };
        let mut bytes = format!("{method} {path} {version}\r\nHost: h\r\n{close}").into_bytes();
        let length = |length: usize| format!("Content-Length: {length}\r\n\r\n").into_bytes();
        let is_whole = match framing & 7 {
            0..=3 => {
                bytes.extend(length(body.len()));
                bytes.extend(body);
                true
            }
            // HTTP/1.0 has no chunks.
            4 | 5 if version == "HTTP/1.1" => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                bytes.extend(chunked(body, usize::from(framing >> 5)).concat());
                bytes.extend(b"0\r\n\r\n");
                true
            }
            6 => {
                bytes.extend(length(body.len() + 1));
                bytes.extend(body);
                false
            }
            _ => {
                bytes.extend(b"\r\n");
                true
            }
        };
        let is_chunked = matches!(framing & 7, 4 | 5);
        let is_read = !(is_chunked && matches!(method, "GET" | "HEAD"));
        Request { bytes, method: is_whole.then_some(method), is_read }
    }
}

impl Answer {
    fn of(number: usize, part: &[u8]) -> Answer {
        let Some((&[status, framing, end], body)) = part.split_first_chunk() else {
            return Answer { bytes: part.to_vec(), cut: 0, then: Then::HalfClose, made: None };
        };
        let cut = if end & 15 == 0 { 0 } else { 1 << ((end & 15) - 1) };
        let then = match (end >> 4) & 3 {
            1 => Then::HalfClose,
            2 => Then::Reset,
            _ => Then::Wait,
        };
        if status % 4 == 0 {
            return Answer { bytes: body.to_vec(), cut, then, made: None };
        }
        let status = STATUSES[usize::from(status >> 2) % STATUSES.len()];
        let content_type = TYPES[usize::from(framing >> 3) % TYPES.len()];
        let mut bytes = format!("HTTP/1.1 {status} Said\r\n{ANSWER}: {number}\r\n").into_bytes();
        if !content_type.is_empty() {
            bytes.extend(format!("Content-Type: {content_type}\r\n").bytes());
        }
        let length = |length: usize| format!("Content-Length: {length}\r\n\r\n").into_bytes();
        // Each piece as it is written, and the bytes of the body that it carries.
        let mut pieces = Vec::<(Vec<u8>, usize)>::new();
        let mut ends_itself = true;
        match framing & 7 {
            chunks @ 0..=3 => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                let sizes = if framing >> 5 == 0 { body.len().max(1) } else { 1 << ((framing >> 5) - 1) };
                let sizes = sizes.max(body.len().div_ceil(PIECES));
                for data in body.chunks(sizes) {
                    pieces.push((format!("{:x}\r\n", data.len()).into_bytes(), 0));
                    pieces.push((data.to_vec(), data.len()));
                    pieces.push((b"\r\n".to_vec(), 0));
                }
                ends_itself = chunks != 3;
                if ends_itself {
                    pieces.push((b"0\r\n\r\n".to_vec(), 0));
                }
            }
            5 => {
                bytes.extend(length(body.len() + 1));
                pieces.push((body.to_vec(), body.len()));
                ends_itself = false;
            }
            // The bytes that follow do not belong to it.
            6 => {
                let told = body.len() / 2;
                bytes.extend(length(told));
                pieces.push((body[..told].to_vec(), told));
                pieces.push((body[told..].to_vec(), 0));
            }
            7 => {
                bytes.extend(b"\r\n");
                pieces.push((body.to_vec(), body.len()));
                ends_itself = then == Then::HalfClose;
            }
            _ => {
                bytes.extend(length(body.len()));
                pieces.push((body.to_vec(), body.len()));
            }
        }
        let (head, all) =
            (bytes.len(), bytes.len() + pieces.iter().map(|(piece, _)| piece.len()).sum::<usize>());
        let kept = if end >> 6 == 0 { all } else { all * usize::from(end >> 6) / 4 };
        let mut said = Vec::new();
        for (piece, carries) in pieces {
            let room = kept.saturating_sub(bytes.len()).min(carries);
            said.extend(&piece[..room]);
            bytes.extend(piece);
        }
        bytes.truncate(kept);
        let is_whole = ends_itself
            && match framing & 7 {
                6 => kept >= head + body.len() / 2,
                // It ends with the connection.
                7 => kept >= head,
                _ => kept == all,
            };
        let made = Made { status, body: said, is_whole, has_head: kept >= head };
        Answer { bytes, cut, then, made: Some(made) }
    }
}

/// Returns a chunked body without its end.
fn chunked(body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let size = if size == 0 { body.len().max(1) } else { 1 << size };
    let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    body.chunks(size.max(body.len().div_ceil(PIECES))).map(chunk).collect()
}

/// Splits a message into writes of `cut` bytes. 0: one write.
pub fn writes(bytes: &[u8], cut: usize) -> std::slice::Chunks<'_, u8> {
    let cut = if cut == 0 { bytes.len().max(1) } else { cut };
    bytes.chunks(cut.max(bytes.len().div_ceil(PIECES)))
}
