//! A Docker engine of the tests' own, with stand-ins for the images that it cannot pull.

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

/// What `docker build` makes; the name is that of compose.yaml.
pub(crate) const IMAGE: &str = concat!("streamgauge:", env!("CARGO_PKG_VERSION"));
/// For the engine to answer: another checkout may have to end with it first, and that may be at its first build.
const TURN: Duration = Duration::from_secs(20 * 60);
/// For the engine to end, with nothing left that runs in it.
const FAREWELL: Duration = Duration::from_secs(30);
/// How an engine says that it may not run here.
const FORBIDDEN: &[&str] = &["needs to be started with root", "operation not permitted", "permission denied"];

/// One at a time: they share the images, and two cores.
static ONE: Mutex<()> = Mutex::new(());

/// Where `install.sh` puts what belongs to it.
fn cache(path: &str) -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    let base = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    base.join("streamgauge/docker").join(path)
}

/// What a command says that has to succeed.
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
    /// With the image built. A machine that forbids an engine fails its tests, and is told why.
    pub(crate) fn start() -> Engine {
        // A test that has failed leaves nothing behind that another could trip over.
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(cache("bin/dockerd").exists(), "no engine: was tests/real/install.sh run?");
        // Short: the path of a socket may have some hundred bytes.
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
        // What it has replaced.
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

    /// What `docker` says to this, without white space around it.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        succeed(&mut self.docker(arguments)).trim().to_owned()
    }

    /// One thing of what `docker inspect` knows of `name`.
    pub(crate) fn inspect(&self, name: &str, format: &str) -> String {
        self.say(&["inspect", "--format", format, name])
    }

    /// Waits for a container to call itself healthy.
    pub(crate) fn healthy(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while self.inspect(name, "{{.State.Health.Status}}") != "healthy" {
            let why = || self.inspect(name, "{{json .State}}");
            assert!(Instant::now() < deadline, "{name} is not healthy: {}", why());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Removes all that runs, and what it wrote: an earlier test may have been killed.
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
