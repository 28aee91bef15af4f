//! The simulated Ollama as a separate process, so that its CPU time can be told apart.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::Result;

use super::process::{self, Process};

/// The concurrent streams of a model: more than any measurement has.
pub(crate) const SLOTS: usize = 100_000;

/// A simulator in its own process.
pub(crate) fn apart(program: &Path, rate: u32, tokens: u32) -> Result<(Process, SocketAddr)> {
    with(program, rate, tokens, &[])
}

/// The same with these models, or with the default one if there are none.
pub(crate) fn with(
    program: &Path,
    rate: u32,
    tokens: u32,
    models: &[String],
) -> Result<(Process, SocketAddr)> {
    let models: Vec<_> = models.iter().flat_map(|model| ["--model", model.as_str()]).collect();
    start(program, rate, tokens, &models)
}

/// The same with further arguments.
pub(crate) fn start(
    program: &Path,
    rate: u32,
    tokens: u32,
    further: &[&str],
) -> Result<(Process, SocketAddr)> {
    let addr = process::free()?;
    let mut command = Command::new(program);
    command.args([
        "-q",
        "simulate",
        "--listen",
        &addr.to_string(),
        "--load-time",
        "0s",
        "--prefill-rate",
        "0",
    ]);
    command.args(["--contention", "0", "--parallel", &SLOTS.to_string()]);
    command.args(["--rate", &rate.to_string(), "--tokens", &tokens.to_string()]);
    command.args(further);
    Ok((Process::start(&mut command, addr)?, addr))
}
