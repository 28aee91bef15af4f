//! How much of the sidecar's memory an attack may hold.

use std::{fs, thread::JoinHandle};

use super::*;

/// The resident memory of a process in MiB.
fn resident(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
/// The size of a chunk.
const PIECE: usize = 64 << 10;

/// An upstream that answers each POST with `most` bytes, or with as many as are read within a second. Each chunk
/// ends a line, or no line ever ends.
fn endless(most: usize, ends: bool) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepting = thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                let mut first = String::new();
                let mut line = String::new();
                reader.read_line(&mut first).unwrap();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                if !first.starts_with("POST ") {
                    return connection.write_all(VERSION.as_bytes()).unwrap();
                }
                reader.read_exact(&mut [0; 13]).unwrap();
                let last = if ends { "\n" } else { "a" };
                let piece = format!("{PIECE:x}\r\n{}{last}\r\n", "a".repeat(PIECE - 1));
                connection.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
                connection.write_all(HEAD.as_bytes()).unwrap();
                let mut sent = 0;
                while sent < most && connection.write_all(piece.as_bytes()).is_ok() {
                    sent += PIECE;
                }
                if sent >= most {
                    connection.write_all(b"0\r\n\r\n").unwrap();
                } else {
                    // Nothing more is read, so the upstream waits as Ollama would.
                    let _ = reader.read(&mut [0]);
                }
            });
        }
    });
    (address, accepting)
}

fn ask(proxy: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).unwrap();
    let request = "POST /api/generate HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}";
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn clients_that_never_read_hold_only_their_buffers() {
    let (upstream, _accepting) = endless(1 << 30, true);
    let (serve, [proxy, _]) = serve(&upstream);
    let before = resident(&serve.child);
    let mut held: Vec<_> = (0..50).map(|_| ask(&proxy)).collect();
    // The first bytes have arrived, and then nothing more is read for a while.
    for stream in &mut held {
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    let mut last = 0;
    loop {
        #[expect(clippy::disallowed_methods, reason = "no async code: it waits until memory stands still")]
        thread::sleep(Duration::from_millis(1500));
        let now = resident(&serve.child);
        if now <= last {
            break;
        }
        last = now;
    }
    let grown = resident(&serve.child).saturating_sub(before);
    // For each connection: the bytes that hyper read from the upstream, a frame on its way, and the bytes that
    // hyper has to write. With frames of 64 KiB that is 1 MiB.
    assert!(grown < 100, "{grown} MiB more than the {before} before");
    drop(held);
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}

#[test]
fn endless_record_passes_and_holds_only_scan_limit_in_memory() {
    const MOST: usize = 128 << 20;
    let (upstream, _accepting) = endless(MOST, false);
    let (serve, [proxy, _]) = serve(&upstream);
    let before = resident(&serve.child);
    let mut stream = ask(&proxy);
    let (mut seen, mut piece, mut most) = (0, vec![0; 1 << 20], 0);
    loop {
        let count = stream.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        seen += count;
        if seen % (8 << 20) < count {
            most = most.max(resident(&serve.child));
        }
    }
    assert!(seen > MOST, "{seen}");
    let grown = most.saturating_sub(before);
    assert!(grown < 40, "{grown} MiB more than the {before} before");
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}
