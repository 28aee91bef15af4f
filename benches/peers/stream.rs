//! One stream, read by a client that uses almost no CPU time.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use memchr::memchr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Ollama's own stream of NDJSON.
    #[default]
    Generate,
    /// A chat of OpenAI's API as server-sent events, which a gateway parses and writes again.
    Chat,
}

impl Ask {
    const fn path(self) -> &'static str {
        match self {
            Ask::Generate => "/api/generate",
            Ask::Chat => "/v1/chat/completions",
        }
    }

    const fn body(self) -> &'static str {
        match self {
            Ask::Generate => r#"{"model":"sim","prompt":"why is the sky blue"}"#,
            Ask::Chat => {
                r#"{"model":"sim","stream":true,"messages":[{"role":"user","content":"why is the sky blue"}]}"#
            }
        }
    }
}

/// A response that is read record by record. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Stream {
    connection: TcpStream,
    read: Vec<u8>,
    /// The offset in `read` of the first byte that was not parsed.
    at: usize,
    /// The bytes of the current chunk that are still to come, including its line break; 0: before the size of a
    /// chunk.
    chunk: usize,
    record: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// Sends the request and waits for the head.
    pub(crate) async fn open(addr: SocketAddr) -> Result<Stream> {
        Stream::ask(addr, Ask::default(), "").await
    }

    /// Sends a request of another kind.
    pub(crate) async fn of(addr: SocketAddr, ask: Ask) -> Result<Stream> {
        Stream::ask(addr, ask, "").await
    }

    /// The same response, as fast as the simulator can send it.
    pub(crate) async fn hurried(addr: SocketAddr, ask: Ask) -> Result<Stream> {
        Stream::ask(addr, ask, "x-simulate-rate: 0\r\n").await
    }

    async fn ask(addr: SocketAddr, ask: Ask, fields: &str) -> Result<Stream> {
        let (path, body) = (ask.path(), ask.body());
        let mut connection = TcpStream::connect(addr).await?;
        connection.set_nodelay(true)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{fields}\r\n",
            body.len()
        );
        connection.write_all((head + body).as_bytes()).await?;
        let (read, record) = (Vec::with_capacity(1024), Vec::with_capacity(256));
        let mut stream = Stream { connection, read, at: 0, chunk: 0, record, ended: false };
        let mut is_chunked = false;
        ensure!(stream.line().await?.starts_with(b"HTTP/1.1 200 "), "the response does not have status 200");
        loop {
            match stream.line().await? {
                b"" => break,
                field => is_chunked |= field.eq_ignore_ascii_case(b"transfer-encoding: chunked"),
            }
        }
        ensure!(is_chunked, "the stream is not chunked");
        Ok(stream)
    }

    /// The next record without its line break; `None` at the end of the response.
    pub(crate) async fn record(&mut self) -> Result<Option<&[u8]>> {
        self.record.clear();
        while !self.ended {
            if self.chunk == 0 {
                let size = self.line().await?;
                let size =
                    usize::from_str_radix(std::str::from_utf8(size)?, 16).context("a chunk has no size")?;
                if size == 0 {
                    ensure!(self.line().await?.is_empty(), "the response has unexpected trailers");
                    self.ended = true;
                    break;
                }
                self.chunk = size + 2;
            }
            if self.at == self.read.len() {
                self.more().await?;
            }
            let there = &self.read[self.at..];
            // The line break after a chunk is not part of it.
            let data = &there[..there.len().min(self.chunk.saturating_sub(2))];
            if let Some(end) = memchr(b'\n', data) {
                self.record.extend_from_slice(&data[..end]);
                (self.at, self.chunk) = (self.at + end + 1, self.chunk - end - 1);
                return Ok(Some(&self.record));
            }
            self.record.extend_from_slice(data);
            let past = if data.len() + 2 >= self.chunk { there.len().min(self.chunk) } else { data.len() };
            (self.at, self.chunk) = (self.at + past, self.chunk - past);
        }
        ensure!(self.record.is_empty(), "the response ended in the middle of a record");
        Ok(None)
    }

    /// The next line of the framing.
    async fn line(&mut self) -> Result<&[u8]> {
        let mut searched = self.at;
        loop {
            if let Some(end) = memchr(b'\n', &self.read[searched..]) {
                let line = &self.read[self.at..searched + end];
                self.at = searched + end + 1;
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            let unread = self.read.len() - self.at;
            self.more().await?;
            searched = self.at + unread;
        }
    }

    /// Reads more bytes and drops the parsed ones.
    async fn more(&mut self) -> Result<()> {
        self.read.drain(..self.at);
        self.at = 0;
        if self.connection.read_buf(&mut self.read).await? == 0 {
            bail!("the connection ended in the middle of a response");
        }
        Ok(())
    }
}
