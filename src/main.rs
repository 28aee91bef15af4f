//! Arguments, tracing, signals, exit codes; nothing else.

use std::{
    io::{self, Write},
    panic,
    process::ExitCode,
    sync::OnceLock,
    thread,
    time::Duration,
};

use clap::Parser;
use streamgauge::{
    cli::{Cli, CommandFailure, Process, SetLevel, Stderr, Stop},
    config::{self, Log, LogFormat},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Where the log goes, once there is one.
static STDERR: OnceLock<Stderr> = OnceLock::new();
/// The last lines have this long to be read.
const LAST_LINES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; a reader that has gone has read enough.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let ran = cli.run(Process { log, signals, hangups });
    flush();
    let Err(failure) = ran else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr().lock(), "{failure}");
    match failure {
        CommandFailure::Configuration(_) | CommandFailure::Usage(_) => ExitCode::from(2),
        CommandFailure::Running(_) => ExitCode::FAILURE,
    }
}

/// Our own lines from the level on; those of the crates below only if they warn.
fn levels(level: Level) -> Targets {
    Targets::new().with_default(level.min(Level::WARN)).with_target("streamgauge", level)
}

fn log(log: &Log) -> SetLevel {
    let (levels_now, set) = reload::Layer::new(levels(log.level));
    let stderr = STDERR.get_or_init(Stderr::start);
    let layer = fmt::layer().with_writer(|| stderr.clone());
    let layer = match log.format {
        LogFormat::Text => layer.with_ansi(!config::no_color()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(levels_now)).init();
    panic::set_hook(Box::new(|panic| {
        // The place alone: a message may quote what was being read, which is a prompt or an answer.
        let place = panic.location().map(ToString::to_string);
        let thread = thread::current();
        tracing::error!(place, thread = thread.name(), "panicked: this is a bug");
        if thread.name() == Some("main") {
            // The process ends by it.
            flush();
        }
    }));
    Box::new(move |level| {
        // It fails only without a subscriber, and that one is there until the end.
        let _ = set.reload(levels(level));
    })
}

fn flush() {
    if let Some(stderr) = STDERR.get() {
        stderr.flush(LAST_LINES);
    }
}

fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// SIGTERM and SIGINT, on a thread of their own: they are heard however busy the rest is.
fn signals() -> io::Result<Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let guard = runtime.enter();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    drop(guard);
    let stop = Stop::default();
    let raised = stop.clone();
    let listen = async move {
        loop {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            raised.raise();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen))?;
    Ok(stop)
}
