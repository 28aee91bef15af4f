//! The parent's side of the pipe.

use std::{collections::BTreeMap, ffi::OsStr, io, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    process::{self, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::{
    Program, SCRIPT,
    frame::{self, Line},
};
use crate::experiment::agent::{Clock, Job, Telling};

/// Imports of Python take seconds on a slow and busy machine. If they take longer than this, the process hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of clock comparisons. The quickest answer is used.
const COMPARISONS: usize = 8;
/// The part of stderr that is kept, from its end, bytes.
const STDERR: usize = 8 << 10;

/// Versions by name, such as `python` and `httpx`.
pub(crate) type Versions = BTreeMap<String, String>;

/// The reason why agents in a process of their own cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program does not start.
    #[error("cannot start {program}: {source}{advice}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
        /// The advice.
        advice: &'static str,
    },
    /// Python lacks packages.
    #[error(
        "{program} lacks {}: run `{program} -m venv venv && venv/bin/pip install {}` and add --python venv/bin/python \
         (on Debian and Ubuntu, `apt install python3-venv` comes first), or leave out Python's conditions with --skip \
         python",
        .packages.join(" and "), .packages.join(" ")
    )]
    Missing {
        /// The Python interpreter.
        program: String,
        /// The missing packages.
        packages: Vec<String>,
    },
    /// The process ended, or its output is not understood.
    #[error("{program} stopped: {what}")]
    Stopped {
        /// The program.
        program: String,
        /// The last lines of its output, or the reason.
        what: String,
    },
}

/// A process whose agents are ready. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Child {
    program: String,
    process: process::Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
    versions: Versions,
}

impl Child {
    /// Starts a process, and waits until its agents are ready.
    ///
    /// # Errors
    /// The process does not start, lacks a package, or stops.
    pub(crate) async fn start(program: &Program, job: &Job) -> Result<Child, ProcessError> {
        let (path, arguments, advice): (_, Vec<&OsStr>, _) = match program {
            Program::Rust(path) => (path, vec!["experiment".as_ref(), "agent".as_ref()], ""),
            Program::Python(path) => (
                path,
                vec!["-u".as_ref(), "-c".as_ref(), SCRIPT.as_ref()],
                ": install Python 3.8 or newer, name one with --python, or leave out its conditions with --skip python",
            ),
        };
        let name = path.display().to_string();
        let failed = |source| ProcessError::Start { program: name.clone(), source, advice };
        let mut command = Command::new(path);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let gone = || failed(io::Error::other("a pipe is missing"));
        let stdin = process.stdin.take().ok_or_else(gone)?;
        let stdout = process.stdout.take().ok_or_else(gone)?;
        let stderr = process.stderr.take().ok_or_else(gone)?;
        let mut child = Child {
            program: name.clone(),
            process,
            stdin,
            stdout: BufReader::new(stdout),
            stderr: tokio::spawn(last_words(stderr)),
            versions: Versions::new(),
        };
        let mut line = serde_json::to_vec(job).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        // A child that ends at once does not read this. Its output is handled below.
        let _ = child.stdin.write_all(&line).await;
        match timeout(PATIENCE, frame::next(&mut child.stdout)).await {
            Err(_) => Err(child.stopped("it was not ready within a minute").await),
            Ok(Ok(Some(Line::Ready(versions)))) => {
                child.versions = versions;
                Ok(child)
            }
            Ok(Ok(Some(Line::Missing(packages)))) => {
                Err(ProcessError::Missing { program: child.program.clone(), packages })
            }
            Ok(Ok(_)) => Err(child.stopped("").await),
            Ok(Err(error)) => Err(child.stopped(&error.to_string()).await),
        }
    }

    /// Returns the versions that it uses.
    #[must_use]
    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Returns the offset from its clock to ours. The quickest of several answers is used; its error is at most half
    /// of its duration.
    async fn offset(&mut self, clock: Clock) -> io::Result<f64> {
        let mut best = (f64::INFINITY, 0.0);
        for _ in 0..COMPARISONS {
            let asked = clock.now();
            self.stdin.write_all(b"clock\n").await?;
            self.stdin.flush().await?;
            let answer = frame::next(&mut self.stdout).await?;
            let answered = clock.now();
            let Some(Line::Clock(theirs)) = answer else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not report its clock"));
            };
            if answered - asked < best.0 {
                best = (answered - asked, 0.5 * (asked + answered) - theirs);
            }
        }
        Ok(best.1)
    }

    /// Compares the clocks. `Prepared::begin` then starts the agents.
    ///
    /// # Errors
    /// The process stops.
    pub(crate) async fn prepare(mut self, clock: Clock) -> Result<Prepared, ProcessError> {
        match timeout(PATIENCE, self.offset(clock)).await {
            Ok(Ok(offset)) => Ok(Prepared { child: self, offset }),
            Ok(Err(error)) => Err(self.stopped(&error.to_string()).await),
            Err(_) => Err(self.stopped("it does not report its clock").await),
        }
    }

    /// Returns the last lines of its stderr, or else `what`.
    async fn stopped(mut self, what: &str) -> ProcessError {
        let _ = self.process.start_kill();
        let _ = timeout(PATIENCE, self.process.wait()).await;
        let said = timeout(PATIENCE, &mut self.stderr).await;
        let said = said.ok().and_then(Result::ok).unwrap_or_default();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).map(str::trim);
        let what = match (last, what) {
            (Some(last), "") => last.to_owned(),
            (Some(last), what) => format!("{what}; {last}"),
            (None, "") => "it ended without output".to_owned(),
            (None, what) => what.to_owned(),
        };
        ProcessError::Stopped { program: self.program, what }
    }
}

/// A process whose clock offset is known.
#[derive(Debug)]
pub(crate) struct Prepared {
    child: Child,
    offset: f64,
}

impl Prepared {
    /// Starts its agents, and reports their observations until the last one has ended.
    ///
    /// # Errors
    /// The process stops early.
    pub(crate) async fn begin(self, tell: mpsc::Sender<Telling>) -> Result<(), ProcessError> {
        let Prepared { mut child, offset } = self;
        if let Err(error) = child.stdin.write_all(b"go\n").await {
            return Err(child.stopped(&error.to_string()).await);
        }
        loop {
            let line = match frame::next(&mut child.stdout).await {
                Ok(Some(line)) => line,
                Ok(None) => return Err(child.stopped("").await),
                Err(error) => return Err(child.stopped(&error.to_string()).await),
            };
            let telling = match frame::telling(line, &mut child.stdout, offset).await {
                Ok(Some(telling)) => telling,
                Ok(None) => continue,
                Err(error) => return Err(child.stopped(&error.to_string()).await),
            };
            let over = matches!(telling, Telling::Over { .. });
            if tell.send(telling).await.is_err() || over {
                return Ok(());
            }
        }
    }
}

async fn last_words(mut stderr: ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * STDERR {
            kept.drain(..kept.len() - STDERR);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}
