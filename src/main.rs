//! Parses the arguments, sets up the log and the signals, and decides the exit code.

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

/// The writer of the log, once the log has started.
static STDERR: OnceLock<Stderr> = OnceLock::new();
/// The time to write the last lines before the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results. A closed pipe is not a failure.
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
        CommandFailure::Regression(_) => ExitCode::from(3),
        CommandFailure::Running(_) => ExitCode::FAILURE,
    }
}

/// The level applies to the lines of this project. Other crates log warnings and errors only.
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
        // Only the location, since a message may quote a prompt or a response.
        let place = panic.location().map(ToString::to_string);
        let thread = thread::current();
        tracing::error!(place, thread = thread.name(), "a thread panicked, which is a bug");
        if thread.name() == Some("main") {
            // The panic ends the process.
            flush();
        }
    }));
    Box::new(move |level| {
        // This fails only without a subscriber, and the subscriber stays until the end.
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

/// Listens for SIGTERM and SIGINT on a thread of its own, so that they are handled however busy the other threads are.
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
