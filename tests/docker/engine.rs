//! A Docker engine of the tests, with stand-ins for the images that it cannot pull.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The image of `docker build`, with its name in compose.yaml.
pub(crate) const IMAGE: &str = concat!("streamgauge:", env!("CARGO_PKG_VERSION"));
/// The time for the engine to answer. Another checkout may have to finish with it first, perhaps with its first
/// build.
const TURN: Duration = Duration::from_secs(20 * 60);
/// The time for the engine to end, with nothing left running in it.
const FAREWELL: Duration = Duration::from_secs(30);
/// The message of an engine that is not allowed to run.
const FORBIDDEN: &[&str] = &["needs to be started with root", "operation not permitted", "permission denied"];

/// One test at a time, since they share the images and two cores.
static ONE: Mutex<()> = Mutex::new(());

/// The folder of `install.sh`.
fn cache(path: &str) -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    let base = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    base.join("streamgauge/docker").join(path)
}

/// The output of a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{said}{}", String::from_utf8_lossy(&stderr));
    said
}

pub(crate) struct Engine {
    child: Child,
    folder: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Engine {
    /// Starts an engine with the image built. If the machine does not allow an engine, the test fails with the
    /// reason.
    pub(crate) fn start() -> Engine {
        // Removes what a failed test left behind.
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(cache("bin/dockerd").exists(), "no engine: was tests/real/install.sh run?");
        // A short path, since the path of a socket may have about a hundred bytes.
        let folder = tempfile::Builder::new().prefix("streamgauge.").tempdir_in("/tmp").unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("tests/real/engine.sh");
        command.arg(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut engine = Engine { child: command.spawn().unwrap(), folder, _one: one };
        let deadline = Instant::now() + TURN;
        while !engine.docker(&["version"]).output().unwrap().status.success() {
            if engine.child.try_wait().unwrap().is_some() {
                let log = engine.log();
                let forbidden = |line: &&str| {
                    let line = line.to_lowercase();
                    FORBIDDEN.iter().any(|words| line.contains(words))
                };
                match log.lines().rev().find(forbidden) {
                    Some(why) => panic!(
                        "this machine lets no Docker engine run, and these tests need one (as root, with leave to mount): {why}"
                    ),
                    None => panic!("the engine has ended:\n{log}"),
                }
            }
            assert!(Instant::now() < deadline, "the engine does not answer:\n{}", engine.log());
            thread::sleep(Duration::from_millis(100));
        }
        engine.clear();
        let start = Instant::now();
        engine.say(&[
            "build",
            "--network=host",
            "--build-arg=REVISION=tested",
            &format!("--tag={IMAGE}"),
            ".",
        ]);
        println!("the image was built in {:.0} s", start.elapsed().as_secs_f64());
        // Images that were replaced.
        engine.say(&["image", "prune", "--force"]);
        engine
    }

    pub(crate) fn docker(&self, arguments: &[&str]) -> Command {
        let path = env::join_paths(
            [cache("bin")].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())),
        );
        let mut command = Command::new(cache("bin/docker"));
        command
            .args(arguments)
            .env("PATH", path.unwrap())
            .env("DOCKER_BUILDKIT", "1")
            .env("DOCKER_CONFIG", cache("config"))
            .env("DOCKER_HOST", format!("unix://{}/docker.sock", self.folder.path().display()));
        command
    }

    /// The output of `docker` with these arguments, without white space around it.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        succeed(&mut self.docker(arguments)).trim().to_owned()
    }

    /// A value of `docker inspect NAME`.
    pub(crate) fn inspect(&self, name: &str, format: &str) -> String {
        self.say(&["inspect", "--format", format, name])
    }

    /// Waits until a container is healthy.
    pub(crate) fn healthy(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while self.inspect(name, "{{.State.Health.Status}}") != "healthy" {
            let why = || self.inspect(name, "{{json .State}}");
            assert!(Instant::now() < deadline, "{name} is not healthy: {}", why());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Removes all containers and their data, since an earlier test may have been killed.
    fn clear(&self) {
        let containers = self.say(&["ps", "--all", "--quiet"]);
        for container in containers.lines() {
            let _ = self.docker(&["rm", "--force", "--volumes", container]).output();
        }
        for kind in ["network", "volume"] {
            let _ = self.docker(&[kind, "prune", "--force"]).output();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        if !running(&mut self.child) {
            return;
        }
        if self.docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
            self.clear();
        }
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + FAREWELL;
        while running(&mut self.child) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
