//! A client that requests one stream after the other and compares the response with what was sent.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::sleep,
};

use super::fate::{Fate, part, records};

/// A connection is reused after a complete response.
#[derive(Default)]
pub(crate) struct Client(Option<BufReader<TcpStream>>);

/// The result of a response.
#[derive(Default)]
struct Got {
    status: u16,
    body: Vec<u8>,
    whole: bool,
}

impl Client {
    pub(crate) async fn follow(&mut self, proxy: SocketAddr, stream: u64) {
        let fate = Fate::of(stream);
        let mut connection = match self.0.take() {
            Some(connection) if fate != Fate::Silence => connection,
            _ => BufReader::new(TcpStream::connect(proxy).await.unwrap()),
        };
        let body = "{\"model\":\"m\"}";
        let request = format!(
            "POST /api/generate HTTP/1.1\r\nHost: h\r\nX-Stream: {stream}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let sent = records(stream).concat();
        match fate {
            // It closes at once, since the upstream sends nothing before the disconnect.
            Fate::LeaveEarly => return,
            Fate::Leave | Fate::Abort | Fate::HalfClose => {
                let mut got = Got::default();
                let first = records(stream)[0].len();
                read(&mut connection, &mut got, Some(first), false).await.unwrap();
                assert!(!got.whole && sent.as_bytes().starts_with(&got.body), "{stream} {fate:?}");
                match fate {
                    Fate::Abort => connection.get_ref().set_zero_linger().unwrap(),
                    Fate::HalfClose => {
                        connection.shutdown().await.unwrap();
                        let _ = read(&mut connection, &mut got, None, false).await;
                        assert!(!got.whole, "{stream}");
                    }
                    _ => {}
                }
                return;
            }
            _ => {}
        }
        let mut got = Got::default();
        // A broken connection is one way to report the failure.
        let _ = read(&mut connection, &mut got, None, fate == Fate::SlowClient).await;
        let said = String::from_utf8_lossy(&got.body);
        assert_eq!(got.whole, fate.is_whole() || fate == Fate::NoHead, "{stream} {fate:?}: {said}");
        match fate {
            Fate::NoHead => assert_eq!(got.status, 502, "{stream}"),
            _ if fate.is_whole() => assert_eq!(said, sent, "{stream} {fate:?}"),
            // Everything before a clean break must arrive; before a reset, at least the beginning, since a kernel
            // may drop the rest.
            _ => match part(stream) {
                Some(part) => assert_eq!(said, part, "{stream} {fate:?}"),
                None => assert!(sent.as_bytes().starts_with(&got.body), "{stream} {fate:?}: {said}"),
            },
        }
        assert_eq!(
            got.status,
            match fate {
                Fate::NoHead => 502,
                Fate::Refuse => 503,
                _ => 200,
            },
            "{stream} {fate:?}"
        );
        if got.whole && fate != Fate::Silence {
            self.0 = Some(connection);
        }
    }
}

/// Reads a response to its end, or until `enough` bytes of its body have arrived.
async fn read(
    from: &mut BufReader<TcpStream>,
    got: &mut Got,
    enough: Option<usize>,
    slowly: bool,
) -> io::Result<()> {
    let is_enough = |got: &Got| enough.is_some_and(|enough| got.body.len() >= enough);
    let mut length = None;
    if got.status == 0 {
        loop {
            let line = line(from).await?;
            if let Some(status) = line.strip_prefix("HTTP/1.1 ") {
                got.status = status[..3].parse().unwrap();
            }
            if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = Some(bytes.parse::<usize>().unwrap());
            }
            if line.is_empty() {
                break;
            }
        }
    }
    if let Some(length) = length {
        while got.body.len() < length {
            let byte = from.read_u8().await?;
            got.body.push(byte);
        }
        got.whole = true;
        return Ok(());
    }
    while !is_enough(got) {
        if slowly {
            sleep(Duration::from_millis(3)).await;
        }
        let size = usize::from_str_radix(&line(from).await?, 16).unwrap();
        for _ in 0..size {
            let byte = from.read_u8().await?;
            got.body.push(byte);
        }
        let end = line(from).await?;
        assert!(end.is_empty());
        if size == 0 {
            got.whole = true;
            return Ok(());
        }
    }
    Ok(())
}

async fn line(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line).await? == 0 || !line.ends_with("\r\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
