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

/// The URL of a simulated Ollama of ten tokens per second.
fn simulated() -> (String, Running) {
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
    (format!("http://{}", address(&simulate.line(), "ollama=")), simulate)
}

/// Starts a stream of `tokens` tokens through this sidecar, and reads its first record.
fn stream_through(proxy: &str, tokens: u32) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(proxy).unwrap();
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
    stream
}

/// Starts a stream of `tokens` tokens at ten per second, and reads its first record.
fn streaming(tokens: u32) -> Streaming {
    let (upstream, simulate) = simulated();
    let (serve, [proxy, _]) = serve(&upstream);
    let stream = stream_through(&proxy, tokens);
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

/// `serve` in a pseudo-terminal of util-linux's `script`.
#[test]
fn drain_in_a_terminal_says_that_a_second_control_c_stops_at_once() {
    let (upstream, _simulate) = simulated();
    let command = format!(
        "exec env -i {} serve --upstream {upstream} --listen 127.0.0.1:0 --admin 127.0.0.1:0",
        env!("CARGO_BIN_EXE_streamgauge")
    );
    let mut child = in_terminal(&command);
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut until = |part: &str| loop {
        let mut line = String::new();
        assert!(screen.read_line(&mut line).unwrap() > 0, "{part:?} did not come");
        if line.contains(part) {
            return line;
        }
    };
    let _stream = stream_through(&address(&until("  Clients "), "http://"), 1000);
    keys.write_all(b"\x03").unwrap();
    until("A second Ctrl-C stops at once.");
    keys.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn drain_after_second_signal_cuts_stream_and_exits_with_code_1() {
    let Streaming { mut serve, mut stream, _simulate } = streaming(1000);
    serve.signal("-TERM");
    // Pending signals of one kind are merged, so that the second one waits until the first is handled.
    serve.until("draining");
    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("stopped the process before all streams ended"), "{log}");
    let mut rest = Vec::new();
    // The stream is cut: a reset or an end of the connection, without the end of the stream.
    let _ = stream.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"));
}
