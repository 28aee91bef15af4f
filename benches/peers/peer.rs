//! The proxies between the client and the simulator.

mod bare;
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
    str::FromStr,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    Plan, collector,
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
    /// The number of workers. LiteLLM has one.
    workers: usize,
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

const PROGRAMS: [Program; 7] = [
    litellm::PROGRAM,
    caddy::PROGRAM,
    envoy::PROGRAM,
    haproxy::PROGRAM,
    nginx::PROGRAM,
    bare::HYPER,
    bare::COPY,
];
const OURS: &str = "streamgauge";
/// streamgauge with a line in the request log for each request, and with traces of 1 % of them.
const LOGGED: &str = "logged";

/// A proxy, and its number of workers, as on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    name: String,
    /// `None`: one for each core, or what streamgauge decides.
    workers: Option<usize>,
}

impl FromStr for Wanted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Wanted> {
        let (name, workers) = match text.split_once(':') {
            Some((name, workers)) => (name, Some(workers.parse().context("NAME:WORKERS")?)),
            None => (text, None),
        };
        let known = [OURS, LOGGED].contains(&name) || PROGRAMS.iter().any(|program| program.name == name);
        anyhow::ensure!(known, "there is no such proxy");
        Ok(Wanted { name: name.to_owned(), workers })
    }
}

impl Wanted {
    /// The name in the tables.
    fn title(&self) -> String {
        match self.workers {
            Some(1) => format!("{}, 1 worker", self.name),
            Some(workers) => format!("{}, {workers} workers", self.name),
            None => self.name.clone(),
        }
    }
}

/// The program, and its name in the tables.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Streamgauge { name: String, program: PathBuf, workers: Option<usize>, is_logged: bool },
    Other { name: String, program: PathBuf, how: &'static Program, workers: Option<usize> },
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
    /// The proxies that a plan compares.
    pub(crate) fn all(plan: &Plan) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for wanted in &plan.peers {
            let (name, workers) = (wanted.title(), wanted.workers);
            let Some(how) = PROGRAMS.iter().find(|how| how.name == wanted.name) else {
                let is_logged = wanted.name == LOGGED;
                let one = |name, program: &Path| Kind::Streamgauge {
                    name,
                    program: program.to_owned(),
                    workers,
                    is_logged,
                };
                kinds.push(one(name.clone(), &plan.ours));
                let another = |program: &PathBuf| one(format!("{name} ({})", program.display()), program);
                kinds.extend(plan.against.iter().map(another));
                continue;
            };
            match bare::program(how).or_else(|| find(how.name)) {
                Some(program) => kinds.push(Kind::Other { name, program, how, workers }),
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
        Kind::Streamgauge {
            name: OURS.to_owned(),
            program: plan.ours.clone(),
            workers: None,
            is_logged: false,
        }
    }

    /// Whether it can be started with limits.
    pub(crate) fn can_be_limited(&self) -> bool {
        match self {
            Kind::Streamgauge { .. } => true,
            Kind::Other { how, .. } => how.name == nginx::PROGRAM.name,
        }
    }

    /// Starts it in front of `upstream`.
    pub(crate) fn start(&self, upstream: SocketAddr) -> Result<Peer> {
        self.start_limited(upstream, None)
    }

    /// The same with the given limits.
    pub(crate) fn start_limited(&self, upstream: SocketAddr, limits: Option<&Limits>) -> Result<Peer> {
        let files = tempfile::tempdir()?;
        let addr = process::free()?;
        let (name, admin, mut command) = match self {
            Kind::Streamgauge { name, program, workers, is_logged } => {
                let admin = process::free()?;
                let mut command = Command::new(program);
                command.envs(workers.map(|workers| ("STREAMGAUGE_PROXY__WORKERS", workers.to_string())));
                // As for the other peers: the default of 4,096 would refuse streams of `--many`.
                command.env("STREAMGAUGE_PROXY__MAX_CONNECTIONS", "65536");
                command.args(["-q", "serve", "--upstream", &format!("http://{upstream}")]);
                command.args(["--listen", &addr.to_string(), "--admin", &admin.to_string()]);
                if *is_logged {
                    command.env("STREAMGAUGE_LOG__REQUESTS", "all");
                    command.env("STREAMGAUGE_LOG__REQUESTS_FILE", files.path().join("requests.log"));
                    command.env("STREAMGAUGE_TRACES__ENDPOINT", format!("http://{}", collector::start()?));
                    command.env("STREAMGAUGE_TRACES__SAMPLE_RATIO", "0.01");
                }
                if let Some(Limits { head, body, connections }) = limits {
                    command.env("STREAMGAUGE_PROXY__KEEP_ALIVE_TIMEOUT", format!("{}ms", head.as_millis()));
                    command.env("STREAMGAUGE_PROXY__HEADER_TIMEOUT", format!("{}ms", head.as_millis()));
                    command.env("STREAMGAUGE_PROXY__BODY_IDLE_TIMEOUT", format!("{}ms", body.as_millis()));
                    command.env("STREAMGAUGE_PROXY__MAX_CONNECTIONS", connections.to_string());
                }
                (name, Some(admin), command)
            }
            Kind::Other { name, program, how, workers } => {
                let cores = thread::available_parallelism().map_or(1, usize::from);
                let workers = workers.unwrap_or(cores);
                let site = Site { program, files: files.path(), addr, upstream, workers, limits };
                (name, None, (how.command)(&site)?)
            }
        };
        let process = Process::start(&mut command, addr)?;
        Ok(Peer { name: name.clone(), addr, admin, process, _files: files })
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
