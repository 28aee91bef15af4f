//! A log that cannot be written or is not read affects no request.

use std::fs::File;

use super::{activation::Manager, *};

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
