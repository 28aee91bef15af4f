//! `serve`: runs the sidecar until a signal.

mod opening;
mod request_file;

use std::{
    convert::Infallible,
    future,
    io::{IsTerminal, stdout},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::time::{sleep, timeout};

use url::Url;

use super::{
    CommandFailure, Global, Process, Stop,
    activation::Sockets,
    bind, descriptors, output,
    reach::reachable,
    recording_folder::{FolderConfig, RecordingFolder},
    reload::Reloader,
    runtimes, systemd,
};
use crate::{
    admin,
    config::{self, Flags},
    experiment::recording::{LiveTraffic, Upstream},
    request_log::Logged,
    sidecar::{self, Bound, Builder, Sidecar},
    upstream::{UpstreamConfig, Upstreams},
};
use opening::Addresses;
use request_file::RequestFile;

/// The opening lines wait up to this long for the first answer of each upstream.
const FIRST_ANSWERS: Duration = Duration::from_secs(2);
/// A drain that takes longer than this says how to stop at once.
const HINT_AFTER: Duration = Duration::from_millis(200);

/// Forward requests to Ollama and measure them
///
/// SIGTERM and SIGINT let running streams end, for at most proxy.drain_timeout. A second signal stops at once, with
/// exit code 1. SIGHUP reads the configuration again: keys, access, shaping, certificates and the log level change.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    addressing: Addressing,
}

/// The flags for the addresses of the upstreams and of the listeners.
#[derive(Args, Debug)]
pub(super) struct Addressing {
    /// An Ollama, as a URL or HOST:PORT; repeat the flag for more. The default names are upstream0, upstream1, …
    /// [default: STREAMGAUGE_UPSTREAM, the file, OLLAMA_HOST, or http://127.0.0.1:11434]
    #[arg(long, value_name = "[NAME=]URL")]
    upstream: Vec<String>,
    /// The address for clients [default: 127.0.0.1:11440]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// The address for the page, the metrics and the probes [default: 127.0.0.1:9464]
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<String>,
}

impl Addressing {
    /// The configuration that these flags and the global ones set.
    pub(super) fn flags(self, global: &Global) -> Flags {
        let mut flags = global.flags();
        flags.upstreams = self.upstream;
        flags.settings.extend(self.listen.map(|listen| ("proxy.listen", listen)));
        flags.settings.extend(self.admin.map(|admin| ("admin.listen", admin)));
        flags
    }
}

impl Serve {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        let flags = self.addressing.flags(global);
        let resolved = config::load(&flags)?;
        let config = resolved.config.clone();
        let level = (process.log)(&config.log);
        for warning in &resolved.warnings {
            tracing::warn!("{warning}");
        }
        let mut settings = config.sidecar.clone();
        settings.request_log.format = config.log.format.into();
        let sockets = Sockets::take()?;
        if let Some(passed) = &sockets.admin {
            settings.admin.listen = passed.addr;
        }
        warn_of_open_admin(&settings.admin);
        settings.proxy.max_connections = descriptors::enough_for(settings.proxy.max_connections);

        let stop = (process.signals)().context("cannot listen for signals")?;
        let admin = runtimes::Own::admin().context("cannot start the admin runtime")?;
        let workers =
            runtimes::Own::workers(config.workers).context("cannot start the runtimes that serve clients")?;
        let accept = runtimes::small().context("cannot start the runtime that accepts connections")?;
        let handles: Vec<_> = workers.iter().map(runtimes::Own::handle).collect();
        let drain = config.sidecar.drain_timeout;
        let builder = request_log(Sidecar::builder(), &config)?;
        let (builder, probed) = recording(builder, &config)?;
        let builder = sockets
            .give(builder)
            .config(settings)
            .runtimes(handles.clone())
            .admin_runtime(admin.handle())
            .process();
        Ok(accept.block_on(async {
            let hangups = (process.hangups)().context("cannot listen for SIGHUP")?;
            let bound = builder.bind().await.map_err(|error| {
                bind::explain(error, "`proxy.listen` (--listen)", "`admin.listen` (--admin)")
            })?;
            // Set once, here.
            let _ = probed.set(bound.upstreams());
            let status = format!("clients: {}, admin: {}", bound.proxy_addr(), bound.admin_addr());
            let opening = open(addresses(&bound, &config.sidecar), bound.upstreams(), config.sidecar.clone());
            let reloader = Reloader {
                flags,
                begun: config,
                present: resolved,
                level,
                sidecar: bound.reload(),
                status: status.clone(),
                wrong_keys: None,
                wrong_stored_keys: None,
                stored: bound.stored_keys(),
            };
            systemd::ready(&status);
            tokio::select! {
                ended = serve(bound, stop, drain) => ended,
                () = reloader.listen(hangups) => Ok(()),
                never = opening => match never {},
                // The runtimes of clients. The current runtime needs no check, since it runs this code.
                () = systemd::watchdog(handles) => Ok(()),
            }
        })?)
    }
}

/// Warns if other machines can read the admin address without a token.
fn warn_of_open_admin(admin: &admin::Config) {
    if !admin.listen.ip().is_loopback() && admin.token.is_none() {
        tracing::warn!(
            admin = %admin.listen,
            "the admin address accepts requests from other machines without a token: set admin.token_file, or listen on 127.0.0.1"
        );
    }
}

/// Opens the file of the request log, if it has one.
fn request_log(builder: Builder, config: &config::Config) -> anyhow::Result<Builder> {
    let config::RequestSettings { file, max_size, old_files } = &config.requests;
    match file {
        Some(path) if config.sidecar.request_log.requests != Logged::Off => {
            let file = RequestFile::open(Path::new(path), *max_size, *old_files).map_err(|error| {
                anyhow!(
                    "cannot write the request log to {path}: {error}\n       create the folder and allow this user to \
                     write there, or choose another file with `log.requests_file`"
                )
            })?;
            Ok(builder.request_log(file))
        }
        _ => Ok(builder),
    }
}

/// The upstreams, once the sidecar is bound.
type ProbedUpstreams = Arc<OnceLock<Arc<Upstreams>>>;

/// Opens the folder of the recording, if it has one. The recording names the version of each upstream, once it is known.
fn recording(builder: Builder, config: &config::Config) -> anyhow::Result<(Builder, ProbedUpstreams)> {
    let probed = ProbedUpstreams::default();
    let config::RecordingSettings { folder, max_size, callers } = &config.recording;
    let Some(folder) = folder else { return Ok((builder, probed)) };
    let live = LiveTraffic { sample_ratio: config.sidecar.recording.sample_ratio, callers: *callers };
    let settings = FolderConfig { path: folder.into(), most: *max_size as u64, live };
    let (known, urls) = (probed.clone(), config.sidecar.upstream.upstreams.clone());
    let upstreams = move || {
        let health = |at: usize| Some(known.get()?.all().get(at)?.health().version.clone());
        let of = |(at, one): (usize, &UpstreamConfig)| {
            let url = without_password(&one.url);
            (one.name.clone(), Upstream { url, version: health(at).flatten(), ..Upstream::default() })
        };
        urls.iter().enumerate().map(of).collect()
    };
    let folder = RecordingFolder::open(settings, Box::new(upstreams)).map_err(|error| {
        anyhow!(
            "cannot record to {folder}: {error}\n       allow this user to create and write the folder, or choose another \
             one with `recording.folder`"
        )
    })?;
    Ok((builder.recording(folder), probed))
}

/// A URL as text, without a user name and a password.
fn without_password(url: &Url) -> String {
    let mut url = url.clone();
    // They fail only for a URL that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// The addresses at which a client on this machine reaches the listeners.
fn addresses(bound: &Bound, config: &sidecar::Config) -> Addresses {
    Addresses {
        proxy: reachable(bound.proxy_addr()),
        proxy_tls: config.proxy.tls.is_some(),
        admin: reachable(bound.admin_addr()),
        admin_tls: config.admin.tls.is_some(),
        needs_key: config.admission.require_key,
    }
}

/// Prints the opening lines once each upstream has answered or is late, if stdout is a terminal.
async fn open(addresses: Addresses, upstreams: Arc<Upstreams>, config: sidecar::Config) -> Infallible {
    if stdout().is_terminal() {
        let _ = timeout(FIRST_ANSWERS, upstreams.first_probes()).await;
        let urls = config.upstream.upstreams.iter().map(|one| one.url.as_str().trim_end_matches('/'));
        let each = upstreams.all().iter().map(|upstream| upstream.health()).zip(urls);
        // If the terminal is gone, the sidecar continues.
        let _ = output::write(opening::lines(addresses, each));
    }
    future::pending().await
}

async fn serve(bound: Bound, stop: Stop, drain: Duration) -> anyhow::Result<()> {
    tracing::info!(proxy = %bound.proxy_addr(), admin = %bound.admin_addr(), "listening");
    let asked = stop.drain();
    let stopping = async {
        asked.await;
        systemd::stopping(drain);
    };
    let hint = hint(stop.drain(), drain);
    let run = async {
        tokio::select! {
            () = bound.run(stopping) => {}
            never = hint => match never {},
        }
    };
    stop.bounds(run).await
}

/// Says in a terminal how to stop at once, if the drain takes noticeable time.
async fn hint(drain: impl Future<Output = ()>, deadline: Duration) -> Infallible {
    drain.await;
    sleep(HINT_AFTER).await;
    if stdout().is_terminal() {
        let text = format!("Running requests may end within {deadline:?}. A second Ctrl-C stops at once.\n");
        // If the terminal is gone, the drain continues.
        let _ = output::write(text);
    }
    future::pending().await
}
