//! What stands between the client and the simulator.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    Plan,
    process::{self, Process},
};

/// Which program, and its name in the tables.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Streamgauge { name: String, program: PathBuf },
    Nginx { program: PathBuf },
}

/// A proxy that runs.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    /// Of streamgauge: where its metrics are.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) process: Process,
    _files: TempDir,
}

impl Kind {
    /// Those that a plan compares; ours comes first.
    pub(crate) fn all(plan: &Plan) -> Vec<Kind> {
        let mut kinds = vec![Kind::ours(plan)];
        kinds.extend(plan.against.iter().map(|program| Kind::Streamgauge {
            name: program.display().to_string(),
            program: program.clone(),
        }));
        match plan.nginx.clone().or_else(find_nginx) {
            Some(program) => kinds.push(Kind::Nginx { program }),
            None => println!("no nginx: tests/real/install.sh has one, or --nginx says where it is"),
        }
        kinds
    }

    /// The sidecar that is measured.
    pub(crate) fn ours(plan: &Plan) -> Kind {
        Kind::Streamgauge { name: "streamgauge".to_owned(), program: plan.ours.clone() }
    }

    /// Starts one in front of `upstream`, with a worker a core.
    pub(crate) fn start(&self, upstream: SocketAddr) -> Result<Peer> {
        let files = tempfile::tempdir()?;
        let addr = process::free()?;
        match self {
            Kind::Streamgauge { name, program } => {
                let admin = process::free()?;
                let mut command = Command::new(program);
                command.args(["-q", "serve", "--upstream", &format!("http://{upstream}")]);
                command.args(["--listen", &addr.to_string(), "--admin", &admin.to_string()]);
                let process = Process::start(&mut command, addr)?;
                Ok(Peer { name: name.clone(), addr, admin: Some(admin), process, _files: files })
            }
            Kind::Nginx { program } => {
                let config = files.path().join("nginx.conf");
                fs::write(&config, nginx(files.path(), addr, upstream))?;
                let mut command = Command::new(program);
                command.arg("-p").arg(files.path()).arg("-c").arg(&config).arg("-e").arg("stderr");
                let process = Process::start(&mut command, addr)?;
                Ok(Peer { name: "nginx".to_owned(), addr, admin: None, process, _files: files })
            }
        }
    }
}

fn find_nginx() -> Option<PathBuf> {
    let installed = env::home_dir().map(|home| home.join(".cache/streamgauge/bin/nginx"));
    let search = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&search).map(|place| place.join("nginx")).chain(installed);
    places.find(|place| place.exists())
}

/// As one would set it up for streams, with nothing that it does besides forwarding.
fn nginx(files: &Path, addr: SocketAddr, upstream: SocketAddr) -> String {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let files = files.display();
    format!(
        "daemon off;
        worker_processes {workers};
        worker_rlimit_nofile 16384;
        pid {files}/pid;
        error_log stderr crit;
        events {{ worker_connections 8192; }}
        http {{
            access_log off;
            client_body_temp_path {files}/client;
            proxy_temp_path {files}/proxy;
            fastcgi_temp_path {files}/fastcgi;
            uwsgi_temp_path {files}/uwsgi;
            scgi_temp_path {files}/scgi;
            upstream ollama {{ server {upstream}; keepalive 1024; }}
            server {{
                listen {addr} backlog=4096;
                location / {{
                    proxy_pass http://ollama;
                    proxy_http_version 1.1;
                    proxy_set_header Host {upstream};
                    proxy_set_header Connection \"\";
                    proxy_buffering off;
                    proxy_read_timeout 600s;
                }}
            }}
        }}
        "
    )
}

impl Peer {
    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let admin = self.admin.context("only streamgauge has metrics")?;
        Ok(reqwest::get(format!("http://{admin}/metrics")).await?.error_for_status()?.text().await?)
    }
}
