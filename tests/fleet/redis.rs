//! A Redis of a test.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use streamgauge::store::Server;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{sleep, timeout},
};

/// Longer than any step of a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis on a Unix socket. It ends with the test.
pub(crate) struct Redis {
    child: Option<Child>,
    folder: TempDir,
    /// The command that starts the server, and its arguments.
    inside: Vec<String>,
    arguments: Vec<String>,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Names another server, such as a `valkey-server`.
const PROGRAM: &str = "STREAMGAUGE_TEST_STORE";

#[expect(clippy::disallowed_methods, reason = "the folder of tests/real/install.sh")]
fn program() -> PathBuf {
    if let Some(program) = env::var_os(PROGRAM).filter(|program| !program.is_empty()) {
        return program.into();
    }
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    cache.join("streamgauge/bin/redis-server")
}

impl Redis {
    /// Starts a server with these arguments and waits until it answers.
    pub(crate) async fn start(arguments: &[&str]) -> Redis {
        Redis::start_inside(&[], arguments).await
    }

    /// The same, started by another command, such as `nsenter`.
    pub(crate) async fn start_inside(command: &[&str], arguments: &[&str]) -> Redis {
        let owned = |words: &[&str]| words.iter().map(|one| (*one).to_owned()).collect();
        let (inside, arguments) = (owned(command), owned(arguments));
        let mut redis = Redis { child: None, folder: TempDir::new().unwrap(), inside, arguments };
        redis.restart().await;
        redis
    }

    /// Starts the server again.
    pub(crate) async fn restart(&mut self) {
        let mut words = self.inside.iter().map(PathBuf::from).chain([program()]);
        let child = Command::new(words.next().expect("the program"))
            .args(words)
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(self.folder.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("tests/real/install.sh installs redis-server");
        self.child = Some(child);
        let answers = async {
            while self.send("PING").await.is_none() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, answers).await.expect("the server answers");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn server(&self) -> Server {
        Server::Unix(self.socket())
    }

    /// The answer to a command, which has no spaces in its words.
    async fn send(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = vec![0; 1 << 20];
        let count = stream.read(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer[..count]).into_owned())
    }

    /// The answer to a command that succeeds.
    pub(crate) async fn command(&self, command: &str) -> String {
        let answer = timeout(PATIENCE, self.send(command)).await.expect("the server answers").unwrap();
        assert!(!answer.starts_with('-'), "{command}: {answer}");
        answer
    }

    /// Sets a key to any bytes.
    pub(crate) async fn set(&self, key: &str, value: &[u8]) {
        let command = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len());
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let bytes = [command.as_bytes(), value, b"\r\n"].concat();
        stream.write_all(&bytes).await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }

    /// How often a command was called.
    pub(crate) async fn calls(&self, command: &str) -> u64 {
        let stats = self.command("INFO commandstats").await;
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(self.socket());
    }
}
