//! An upstream that parses HTTP/1.1 strictly and reports every ambiguity in what the sidecar sends.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

/// A complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) target: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// The received requests and violations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) arrived: Vec<Arrived>,
    pub(crate) ambiguous: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Strict {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// Every complete request gets 200, including the sidecar's probes, which are not recorded.
pub(crate) async fn strict() -> Strict {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let strict = Strict { addr: listener.local_addr().unwrap(), seen: Arc::default() };
    let kept = strict.seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut read = BufReader::new(read);
                loop {
                    match request(&mut read).await {
                        Ok(arrived) => {
                            let is_probe =
                                ["/api/version", "/api/tags", "/api/ps"].contains(&arrived.target.as_str());
                            if !is_probe {
                                kept.lock().unwrap().arrived.push(arrived);
                            }
                            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                            if write.write_all(answer).await.is_err() {
                                return;
                            }
                        }
                        Err(Wrong::Ended) => return,
                        Err(Wrong::Ambiguous(why)) => return kept.lock().unwrap().ambiguous.push(why),
                    }
                }
            });
        }
    });
    strict
}

impl Strict {
    /// The requests since the last call.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

enum Wrong {
    /// The connection ended, between requests or within one, which is not complete then.
    Ended,
    Ambiguous(String),
}

fn ambiguous<T>(why: &str, what: &str) -> Result<T, Wrong> {
    Err(Wrong::Ambiguous(format!("{why}: {what:?}")))
}

async fn line(read: &mut (impl AsyncRead + Unpin)) -> Result<String, Wrong> {
    let mut line = Vec::new();
    loop {
        match read.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(_) => return Err(Wrong::Ended),
        }
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    match line.strip_suffix('\r') {
        Some(line) if !line.contains(|c: char| c.is_ascii_control() && c != '\t') => Ok(line.to_owned()),
        _ => ambiguous("a line with control characters, or without CR LF", &line),
    }
}

/// Parses by RFC 9112, without its tolerated deviations.
async fn request(read: &mut (impl AsyncRead + Unpin)) -> Result<Arrived, Wrong> {
    let first = line(read).await?;
    let parts: Vec<_> = first.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { return ambiguous("a request line", &first) };
    if method.is_empty() || !method.bytes().all(is_token) || !(target.starts_with('/') || target == "*") {
        return ambiguous("a request line", &first);
    }
    let mut head = format!("{first}\n");
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    loop {
        let field = line(read).await?;
        if field.is_empty() {
            break;
        }
        head += &format!("{field}\n");
        let Some((name, value)) = field.split_once(':') else { return ambiguous("a field", &field) };
        if name.is_empty() || !name.bytes().all(is_token) {
            return ambiguous("a field's name", &field);
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value.trim().to_owned()),
            "transfer-encoding" => codings.push(value.trim().to_owned()),
            "connection" | "upgrade" | "te" | "http2-settings" => return ambiguous("of one hop", &field),
            _ => {}
        }
    }
    if hosts != 1 {
        return ambiguous("Host", &head);
    }
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Vec::new(),
        ([length], []) => match length.parse::<usize>() {
            Ok(size) if length.bytes().all(|byte| byte.is_ascii_digit()) => bytes(read, size).await?,
            _ => return ambiguous("Content-Length", length),
        },
        ([], [coding]) if coding == "chunked" => chunks(read).await?,
        _ => return ambiguous("framing", &head),
    };
    Ok(Arrived { target: target.to_owned(), head, body })
}

async fn bytes(read: &mut (impl AsyncRead + Unpin), size: usize) -> Result<Vec<u8>, Wrong> {
    let mut bytes = vec![0; size];
    read.read_exact(&mut bytes).await.map_err(|_| Wrong::Ended)?;
    Ok(bytes)
}

async fn chunks(read: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Wrong> {
    let mut body = Vec::new();
    loop {
        let size = line(read).await?;
        let Ok(length) = usize::from_str_radix(&size, 16) else { return ambiguous("a chunk's size", &size) };
        if !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return ambiguous("a chunk's size", &size);
        }
        if length == 0 {
            break;
        }
        body.extend(bytes(read, length).await?);
        let end = line(read).await?;
        if !end.is_empty() {
            return ambiguous("after a chunk", &end);
        }
    }
    // Trailers, and the empty line.
    loop {
        let trailer = line(read).await?;
        let name = trailer.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if name.is_empty() {
            return Ok(body);
        }
        if ["content-length", "transfer-encoding", "host", "authorization"].contains(&name.as_str()) {
            return ambiguous("a trailer", &trailer);
        }
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
