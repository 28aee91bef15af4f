//! The upstream of the peers. It records all bytes that it receives, and its responses are known byte for byte.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::reading::{self, Framing};

/// The response to most requests.
pub(super) const VERSION: &str = r#"{"version":"0.12.11","models":[]}"#;
/// The number of records of a stream.
pub(super) const RECORDS: usize = 5;
const APART: Duration = Duration::from_millis(10);
/// The body of a request whose stream does not end.
pub(super) const ENDLESS: &str = r#"{"model":"endless","prompt":"on and on"}"#;
/// The bytes of a record of that stream, which is sent as fast as it is read.
const RECORD: usize = 16 << 10;

/// An upstream that runs until the process ends.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) addr: SocketAddr,
    came: Came,
}

/// The received bytes by connection.
type Came = Arc<Mutex<BTreeMap<usize, Vec<u8>>>>;

/// A record of the stream, with its line break.
pub(super) fn record(place: usize) -> String {
    let done = place + 1 == RECORDS;
    format!("{{\"model\":\"sim\",\"response\":\"word {place}\",\"done\":{done}}}\n")
}

impl Upstream {
    /// Answers on a thread of its own.
    pub(super) fn start() -> Result<Upstream> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let (addr, came) = (listener.local_addr()?, Came::default());
        let kept = came.clone();
        thread::spawn(move || runtime.block_on(serve(listener, &kept)));
        Ok(Upstream { addr, came })
    }

    /// The bytes received since the last call, by connection.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *came).into_values().collect()
    }
}

async fn serve(listener: std::net::TcpListener, came: &Came) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    for nth in 0.. {
        let (connection, _) = listener.accept().await?;
        let came = came.clone();
        tokio::spawn(async move {
            // An aborted connection is a matter of the peer and not an error here.
            let _ = answer(connection, nth, &came).await;
        });
    }
    Ok(())
}

async fn answer(mut connection: TcpStream, nth: usize, came: &Came) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut unanswered = Vec::new();
    loop {
        let before = unanswered.len();
        if connection.read_buf(&mut unanswered).await? == 0 {
            return Ok(());
        }
        {
            let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
            came.entry(nth).or_default().extend_from_slice(&unanswered[before..]);
        }
        let mut answered = 0;
        for request in reading::requests(&unanswered, Framing::Coding) {
            let Some(end) = request.end else { break };
            respond(&mut connection, request.target, request.body).await?;
            answered = end;
        }
        unanswered.drain(..answered);
    }
}

async fn respond(connection: &mut TcpStream, target: &str, body: &[u8]) -> io::Result<()> {
    if target != "/api/generate" {
        // A request for something else gets a response that names its target.
        let body = if target.starts_with("/api/") { VERSION } else { target };
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
        return connection.write_all(format!("{head}{length}\r\n\r\n{body}").as_bytes()).await;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await?;
    if body == ENDLESS.as_bytes() {
        let record = format!("{{\"response\":\"{}\"}}\n", "a".repeat(RECORD));
        let chunk = format!("{:x}\r\n{record}\r\n", record.len());
        loop {
            connection.write_all(chunk.as_bytes()).await?;
        }
    }
    for place in 0..RECORDS {
        let record = record(place);
        connection.write_all(format!("{:x}\r\n{record}\r\n", record.len()).as_bytes()).await?;
        tokio::time::sleep(APART).await;
    }
    connection.write_all(b"0\r\n\r\n").await
}
