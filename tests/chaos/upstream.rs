//! An Ollama that gives each stream the fate of its number.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::fate::{BEGUN, Fate, before_break, draw, records};

const PAUSE: Duration = Duration::from_millis(20);
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const END: &str = "0\r\n\r\n";

pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The sidecar may close the connection at any time.
            tokio::spawn(serve(BufReader::new(stream)));
        }
    });
    addr
}

async fn serve(mut connection: BufReader<TcpStream>) -> io::Result<()> {
    connection.get_ref().set_nodelay(true)?;
    loop {
        let (mut stream, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            match line.split_once(": ") {
                Some(("x-stream", number)) => stream = number.parse().ok(),
                Some(("content-length", number)) => length = number.parse().unwrap_or(0),
                _ => {}
            }
        }
        connection.read_exact(&mut vec![0; length]).await?;
        match stream {
            Some(stream) => answer(&mut connection, stream).await?,
            // A probe.
            None => connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await?,
        }
    }
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn reset(connection: &BufReader<TcpStream>) -> io::Result<()> {
    connection.get_ref().set_zero_linger()?;
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Waits until the sidecar closes.
async fn left(connection: &mut BufReader<TcpStream>) -> io::Result<()> {
    let _ = connection.read(&mut [0]).await?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

async fn answer(to: &mut BufReader<TcpStream>, stream: u64) -> io::Result<()> {
    let (fate, records) = (Fate::of(stream), records(stream));
    let body = records.concat();
    let body = body.as_bytes();
    let some = before_break(stream).min(records.len());
    let part = records[..some].iter().map(|record| chunk(record.as_bytes())).collect::<Vec<_>>();
    let part = part.concat();
    match fate {
        Fate::Whole | Fate::Garbage | Fate::SlowClient | Fate::Error | Fate::Truncate | Fate::SlowHead => {
            if fate == Fate::SlowHead {
                sleep(PAUSE).await;
            }
            to.write_all(CHUNKED.as_bytes()).await?;
            finish(to, records.iter().map(String::as_bytes)).await
        }
        Fate::Bytes => {
            to.write_all(CHUNKED.as_bytes()).await?;
            finish(to, body.chunks(1)).await
        }
        Fate::Split => write_split(to, body, stream).await,
        Fate::Batch => to.write_all(&[CHUNKED.as_bytes(), &chunk(body), END.as_bytes()].concat()).await,
        Fate::Length => to.write_all(&[length(body.len()).as_bytes(), body].concat()).await,
        Fate::Stall => {
            to.write_all(&[CHUNKED.as_bytes(), &part].concat()).await?;
            sleep(PAUSE).await;
            finish(to, records[some..].iter().map(String::as_bytes)).await
        }
        Fate::Refuse => {
            let head = format!(
                "HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            to.write_all(&[head.as_bytes(), body].concat()).await
        }
        Fate::Reset => {
            to.write_all(&[CHUNKED.as_bytes(), &part].concat()).await?;
            reset(to)
        }
        Fate::Cut => {
            to.write_all(&[CHUNKED.as_bytes(), &part, b"1f\r\n", BEGUN.as_bytes()].concat()).await?;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        Fate::Short => {
            to.write_all(&[length(body.len() + 1).as_bytes(), body].concat()).await?;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        Fate::Nonsense => {
            to.write_all(&[CHUNKED.as_bytes(), &part, b"zz\r\n"].concat()).await?;
            left(to).await
        }
        Fate::NoHead => reset(to),
        Fate::Silence | Fate::Leave | Fate::Abort | Fate::HalfClose => {
            to.write_all(&[CHUNKED.as_bytes(), &part].concat()).await?;
            left(to).await
        }
        Fate::LeaveEarly => left(to).await,
    }
}

/// Writes each piece as a chunk, and the end of the message.
async fn finish<'a>(to: &mut BufReader<TcpStream>, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    for piece in pieces {
        to.write_all(&chunk(piece)).await?;
    }
    to.write_all(END.as_bytes()).await
}

/// Writes the body in chunks of any length, and the message in writes of any length.
async fn write_split(to: &mut BufReader<TcpStream>, body: &[u8], stream: u64) -> io::Result<()> {
    let mut message = CHUNKED.as_bytes().to_vec();
    let mut rest = body;
    for piece in 0.. {
        let (now, later) = rest.split_at(rest.len().min(1 + draw(stream, 200 + piece) as usize % 97));
        message.extend(chunk(now));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    message.extend(END.as_bytes());
    let mut rest = &message[..];
    for piece in 0.. {
        let (now, later) = rest.split_at(rest.len().min(1 + draw(stream, 900 + piece) as usize % 131));
        to.write_all(now).await?;
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    Ok(())
}

fn length(bytes: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {bytes}\r\n\r\n")
}
