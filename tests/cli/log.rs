//! A log that cannot be written or is not read affects no request.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use super::{
    activation::{Manager, simulated},
    *,
};

/// Sends so many requests that an unread pipe is full long before, since each request has its line.
fn asks_and_ends(manager: &Manager, mut command: Command) {
    let mut child = command.spawn().unwrap();
    for _ in 0..1500 {
        let answer = get(&manager.proxy(), "/api/version");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
    assert!(get(&manager.admin(), "/livez").contains("alive"));
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn talkative(manager: &Manager) -> Command {
    manager.command("proxy:admin", &["-v", "--upstream", "http://127.0.0.1:9"])
}

#[test]
#[cfg(target_os = "linux")]
fn log_on_full_disk_does_not_stop_serving() {
    let manager = Manager::new();
    let mut command = talkative(&manager);
    command.stderr(File::options().write(true).open("/dev/full").unwrap());
    asks_and_ends(&manager, command);
}

#[test]
fn log_to_closed_pipe_does_not_stop_serving() {
    let manager = Manager::new();
    let mut command = talkative(&manager);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stderr(writer);
    asks_and_ends(&manager, command);
}

#[test]
fn log_to_unread_pipe_does_not_delay_serving() {
    let manager = Manager::new();
    let mut command = talkative(&manager);
    let (_reader, writer) = std::io::pipe().unwrap();
    command.stderr(writer);
    asks_and_ends(&manager, command);
}

#[test]
#[cfg(target_os = "linux")]
fn command_result_that_cannot_be_written_exits_with_code_1_and_reason() {
    let mut check = streamgauge(&["check", "--offline"]);
    check.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("error: cannot write to stdout: No space left"), "{}", stderr(&output));
}

/// Asks for a stream with this fault, and returns what came of the response.
fn stream(proxy: &str, fault: &str) -> String {
    let mut client = TcpStream::connect(proxy).unwrap();
    let body = r#"{"model":"sim","prompt":"p"}"#;
    write!(
        client,
        "POST /api/generate HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-simulate-fault: {fault}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut came = String::new();
    let mut reader = BufReader::new(client);
    while reader.read_line(&mut came).is_ok_and(|length| length > 0) && !came.contains("\"done\":true") {}
    came
}

#[test]
fn failed_stream_is_a_warning_with_its_cause() {
    let (_simulator, upstream) = simulated();
    let manager = Manager::new();
    let mut serve = Running::spawn(manager.command("proxy:admin", &["--upstream", &upstream]));
    for (fault, cause) in [
        ("reset", "a request failed: the connection broke during the response"),
        ("truncate", "a request failed: the stream ended without its last record"),
        ("error", "a request failed: Ollama reported an error inside the stream"),
        ("refuse", "a request failed: the upstream answered 503"),
    ] {
        stream(&manager.proxy(), fault);
        let line = serve.until("a request failed");
        assert!(line.contains(cause) && line.contains("WARN") && line.contains("route="), "{line}");
    }
}

#[test]
fn failed_request_has_its_cause_in_the_overview() {
    let manager = Manager::new();
    let _serve = Running::spawn(manager.command("proxy:admin", &["--upstream", "gpu0=http://127.0.0.1:9"]));
    assert!(get(&manager.proxy(), "/api/version").starts_with("HTTP/1.1 502 "));
    let overview = get(&manager.admin(), "/overview");
    assert!(overview.contains(r#"upstream \"gpu0\" is unreachable: Connection refused"#), "{overview}");
}
