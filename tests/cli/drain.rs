//! The first signal lets a stream end; the second one does not.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::*;

/// A sidecar in front of a simulated Ollama, and a stream that runs through both.
struct Streaming {
    serve: Running,
    /// The simulated Ollama, which is killed on drop.
    _simulate: Running,
    stream: BufReader<TcpStream>,
}

pub(super) fn address(line: &str, key: &str) -> String {
    let (_, after) = line.split_once(key).unwrap();
    after.split_whitespace().next().unwrap().to_owned()
}

/// Starts a stream of `tokens` tokens at ten per second, and reads its first record.
fn streaming(tokens: u32) -> Streaming {
    let mut simulate = Running::start(&[
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--load-time",
        "0s",
        "--rate",
        "10",
        "--tokens",
        "1000",
    ]);
    let upstream = format!("http://{}", address(&simulate.line(), "ollama="));
    let mut serve = Running::start(&[
        "serve",
        "--upstream",
        &upstream,
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    let proxy = address(&serve.line(), "proxy=");
    let mut stream = TcpStream::connect(&proxy).unwrap();
    let body = format!("{{\"model\":\"sim\",\"prompt\":\"hi\",\"options\":{{\"num_predict\":{tokens}}}}}");
    let length = body.len();
    write!(stream, "POST /api/generate HTTP/1.1\r\nhost: {proxy}\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("\"response\"") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "no record came");
    }
    Streaming { serve, _simulate: simulate, stream }
}

#[test]
fn drain_after_first_signal_lets_stream_complete() {
    let Streaming { serve, mut stream, _simulate } = streaming(10);
    serve.signal("-TERM");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"done\":true") && rest.ends_with("0\r\n\r\n"), "{rest}");
    let (code, log) = serve.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn drain_after_second_signal_cuts_stream_and_exits_with_code_1() {
    let Streaming { mut serve, mut stream, _simulate } = streaming(1000);
    serve.signal("-TERM");
    // Pending signals of one kind are merged, so that the second one waits until the first is handled.
    while !serve.line().contains("draining") {
        assert!(serve.child.try_wait().unwrap().is_none(), "it ended before it drained");
    }
    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("stopped the process before all streams ended"), "{log}");
    let mut rest = Vec::new();
    // The stream is cut: a reset or an end of the connection, without the end of the stream.
    let _ = stream.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"));
}
