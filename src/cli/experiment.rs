//! `experiment`: agents against Ollama, and a recording of them.

mod conduct;
mod plan;
mod progress;
mod tokenizer;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, Subcommand};

use super::{Failure, Global, Process, output, runtimes};
use crate::experiment::{plan::BUNDLED, process::serve};

/// Runs agents against Ollama under conditions that a plan names, and records them
///
/// What a recording says is told by `streamgauge report`.
#[derive(Args, Debug)]
pub(super) struct Experiment {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(flatten)]
    Shown(Shown),
    /// Agents of one process, as `run` starts them: a job on stdin, what they see on stdout
    #[command(hide = true)]
    Agent,
}

/// The actions that people give.
#[derive(Debug, Subcommand)]
enum Shown {
    Run(conduct::Conduct),
    Init(Init),
    /// Lists the bundled plans
    List,
    Tokenizers(tokenizer::Tokenizers),
}

/// `experiment` without its hidden action.
pub(super) fn shown(whole: Command) -> Command {
    let about = whole.get_about().cloned().unwrap_or_default();
    Shown::augment_subcommands(Command::new("experiment")).about(about)
}

/// Prints or writes a commented plan to begin with
#[derive(Args, Debug)]
struct Init {
    /// One of `experiment list`
    #[arg(value_name = "NAME", default_value = "tr117-phase1")]
    name: String,
    /// Written there in place of stdout; a file that exists stays as it is
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Experiment {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), Failure> {
        match self.action {
            Action::Shown(Shown::Run(conduct)) => conduct.run(global, process),
            Action::Shown(Shown::Init(init)) => init.run(),
            Action::Shown(Shown::List) => list(),
            Action::Shown(Shown::Tokenizers(tokenizers)) => tokenizers.run(),
            Action::Agent => {
                let runtime = runtimes::main().context("cannot start a runtime")?;
                Ok(runtime.block_on(serve()).context("the agents' process")?)
            }
        }
    }
}

fn list() -> Result<(), Failure> {
    let width = BUNDLED.iter().map(|bundled| bundled.name.len()).max().unwrap_or_default();
    let line =
        |bundled: &crate::experiment::plan::Bundled| format!("{:width$}  {}\n", bundled.name, bundled.about);
    output::print(BUNDLED.iter().map(line).collect::<String>())
}

impl Init {
    fn run(self) -> Result<(), Failure> {
        let text = plan::bundled(&self.name)?.text;
        let Some(file) = self.output else { return output::print(text) };
        let written = std::fs::File::create_new(&file)
            .and_then(|mut new| std::io::Write::write_all(&mut new, text.as_bytes()));
        Ok(written.with_context(|| format!("cannot write {}", file.display()))?)
    }
}
