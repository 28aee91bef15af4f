//! A server that runs as long as a test needs it.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than any step of a test, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The time for a server to end after a signal.
const FAREWELL: Duration = Duration::from_secs(15);

/// The folder of `install.sh`.
pub(crate) fn cache(path: &str) -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    let base = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    base.join("streamgauge").join(path)
}

/// A folder on the file system of the models, so that they can be hard-linked.
pub(crate) fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("test.").tempdir_in(cache("tmp")).expect("tests/real/install.sh was run")
}

/// Polls until there is an answer, or fails with the text of `otherwise`.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>, otherwise: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never happens: {}", otherwise());
        thread::sleep(Duration::from_millis(20));
    }
}

/// A child process that ends with its guard, and its log.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with stdout and stderr redirected to `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Process {
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child, log }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits for a line of the log in which `find` finds something.
    pub(crate) fn find<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        until(|| self.log().lines().find_map(&find), || self.log())
    }

    /// The address that follows `mark` in the log.
    pub(crate) fn address(&self, mark: &str) -> String {
        self.find(|line| {
            let rest = line.split_once(mark)?.1;
            let end = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.' && sign != ':');
            let address = &rest[..end.unwrap_or(rest.len())];
            let port = address.rsplit_once(':')?.1;
            port.parse::<u16>().is_ok_and(|port| port != 0).then(|| address.to_owned())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not killed at once, since Ollama must end its runners.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + FAREWELL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
