//! The proxies between the client and the simulator.

mod caddy;
mod envoy;
mod haproxy;
mod litellm;
mod nginx;

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    Plan,
    process::{self, Process},
};

/// A proxy, configured for streams as its users would, with nothing besides forwarding.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    /// Returns the command that starts it.
    command: fn(&Site<'_>) -> Result<Command>,
}

/// The addresses and files of a program.
struct Site<'a> {
    program: &'a Path,
    /// The folder for its files.
    files: &'a Path,
    addr: SocketAddr,
    upstream: SocketAddr,
    /// `None`: its own limits. Only nginx supports others.
    limits: Option<&'a Limits>,
}

/// The limits of a peer for its clients.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The longest time for a head.
    pub(crate) head: Duration,
    /// The longest pause within a body.
    pub(crate) body: Duration,
    /// The most connections. For nginx, those of each worker, including connections to upstreams.
    pub(crate) connections: usize,
}

/// The last name is the base of relative medians.
const PROGRAMS: [Program; 5] =
    [litellm::PROGRAM, caddy::PROGRAM, envoy::PROGRAM, haproxy::PROGRAM, nginx::PROGRAM];

/// The program, and its name in the tables.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Streamgauge { name: String, program: PathBuf },
    Other { program: PathBuf, how: &'static Program },
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    /// The address of the metrics, of streamgauge only.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) process: Process,
    _files: TempDir,
}

impl Kind {
    /// The proxies that a plan compares, streamgauge first.
    pub(crate) fn all(plan: &Plan) -> Vec<Kind> {
        let mut kinds = vec![Kind::ours(plan)];
        kinds.extend(plan.against.iter().map(|program| Kind::Streamgauge {
            name: program.display().to_string(),
            program: program.clone(),
        }));
        for how in PROGRAMS.iter().filter(|how| plan.peers.iter().any(|name| name == how.name)) {
            match find(how.name) {
                Some(program) => kinds.push(Kind::Other { program, how }),
                None => println!(
                    "no {}: install it with benches/peers/install.sh (nginx: tests/real/install.sh)",
                    how.name
                ),
            }
        }
        kinds
    }

    /// The sidecar that is measured.
    pub(crate) fn ours(plan: &Plan) -> Kind {
        Kind::Streamgauge { name: "streamgauge".to_owned(), program: plan.ours.clone() }
    }

    /// Whether it can be started with limits.
    pub(crate) fn can_be_limited(&self) -> bool {
        match self {
            Kind::Streamgauge { .. } => true,
            Kind::Other { how, .. } => how.name == nginx::PROGRAM.name,
        }
    }

    /// Starts it in front of `upstream`, with one worker per core.
    pub(crate) fn start(&self, upstream: SocketAddr) -> Result<Peer> {
        self.start_limited(upstream, None)
    }

    /// The same with the given limits.
    pub(crate) fn start_limited(&self, upstream: SocketAddr, limits: Option<&Limits>) -> Result<Peer> {
        let files = tempfile::tempdir()?;
        let addr = process::free()?;
        let (name, admin, mut command) = match self {
            Kind::Streamgauge { name, program } => {
                let admin = process::free()?;
                let mut command = Command::new(program);
                command.args(["-q", "serve", "--upstream", &format!("http://{upstream}")]);
                command.args(["--listen", &addr.to_string(), "--admin", &admin.to_string()]);
                if let Some(Limits { head, body, connections }) = limits {
                    command.env("STREAMGAUGE_PROXY__KEEP_ALIVE_TIMEOUT", format!("{}ms", head.as_millis()));
                    command.env("STREAMGAUGE_PROXY__HEADER_TIMEOUT", format!("{}ms", head.as_millis()));
                    command.env("STREAMGAUGE_PROXY__BODY_IDLE_TIMEOUT", format!("{}ms", body.as_millis()));
                    command.env("STREAMGAUGE_PROXY__MAX_CONNECTIONS", connections.to_string());
                }
                (name.as_str(), Some(admin), command)
            }
            Kind::Other { program, how } => {
                let site = Site { program, files: files.path(), addr, upstream, limits };
                (how.name, None, (how.command)(&site)?)
            }
        };
        let process = Process::start(&mut command, addr)?;
        Ok(Peer { name: name.to_owned(), addr, admin, process, _files: files })
    }
}

/// Finds a program on the PATH, or in the folder of the installation scripts.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
    let installed = cache.map(|cache| cache.join("streamgauge/bin").join(name));
    let search = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&search).map(|place| place.join(name)).chain(installed);
    places.find(|place| place.exists())
}

/// Writes the configuration of a program.
fn write(files: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = files.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

impl Peer {
    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let admin = self.admin.context("only streamgauge has metrics")?;
        Ok(reqwest::get(format!("http://{admin}/metrics")).await?.error_for_status()?.text().await?)
    }
}
