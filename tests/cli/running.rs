//! A server that a test runs, and the lines of its log.

#![expect(clippy::disallowed_types, reason = "no async code: it waits for a process")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use super::streamgauge;

/// A test fails if an expected line of the log does not come within this time.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most lines that are kept for a test. If the test reads none, the pipe of the process fills.
const LINES: usize = 256;

/// A running server, and its lines on stderr.
pub(super) struct Running {
    pub(super) child: Child,
    lines: Receiver<String>,
    /// The lines that were read so far.
    seen: String,
}

impl Running {
    pub(super) fn start(arguments: &[&str]) -> Running {
        Running::spawn(streamgauge(arguments))
    }

    pub(super) fn spawn(mut command: Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = sync_channel(LINES);
        thread::spawn(move || {
            let mut line = String::new();
            // The log ends with the process, and the receiver with the test.
            while log.read_line(&mut line).unwrap() > 0 && tell.send(std::mem::take(&mut line)).is_ok() {}
        });
        Running { child, lines, seen: String::new() }
    }

    /// The next line of the log. `None`: the log ended.
    fn next(&mut self, deadline: Instant) -> Option<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.seen += &line;
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the log did not go on within {PATIENCE:?}:\n{}", self.seen)
            }
        }
    }

    /// The next line of the log.
    pub(super) fn line(&mut self) -> String {
        self.until("")
    }

    /// The next line of the log that contains `part`.
    pub(super) fn until(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Some(line) = self.next(deadline) {
            if line.contains(part) {
                return line;
            }
            // A log with other lines does not extend the time.
            assert!(Instant::now() < deadline, "{part:?} is not in the log:\n{}", self.seen);
        }
        panic!("the log ended without {part:?}, {:?}:\n{}", self.child.wait(), self.seen);
    }

    /// The addresses for clients and for admin requests, from the next line of the log that names them.
    pub(super) fn addresses(&mut self) -> [String; 2] {
        let line = self.until("listening");
        ["proxy=", "admin="].map(|key| address(&line, key))
    }

    pub(super) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// The exit code and the rest of the log.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = String::new();
        while let Some(line) = self.next(deadline) {
            rest += &line;
        }
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process has ended already, unless the test failed.
        let _ = self.child.kill();
    }
}

/// Starts a sidecar in front of this upstream. Returns its addresses for clients and for admin requests too.
pub(super) fn serve(upstream: &str) -> (Running, [String; 2]) {
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut serve = Running::start(&[&["serve", "--upstream", upstream], &listen[..]].concat());
    let addresses = serve.addresses();
    (serve, addresses)
}

/// Starts a shell command in a pseudo-terminal of util-linux's `script`. It is ended after a minute, so that a text that
/// never comes ends the test. The program must take the place of the shell by `exec`: Ctrl-C would end a shell that waits
/// for it, and `script` would return the exit code of the shell.
pub(super) fn in_terminal(command: &str) -> Child {
    Command::new("timeout")
        .args(["60", "script", "--quiet", "--return", "--command", command, "/dev/null"])
        .env("SHELL", "/bin/sh") // `script` takes the shell from here.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The value of a field of a line of the log.
pub(super) fn address(line: &str, key: &str) -> String {
    let (_, after) = line.split_once(key).unwrap();
    after.split_whitespace().next().unwrap().to_owned()
}
