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

/// Run agents against Ollama by a plan, and record them
///
/// `streamgauge report` analyses a recording.
#[derive(Args, Debug)]
pub(super) struct Experiment {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(flatten)]
    Shown(Shown),
    /// The agents of one process, as `run` starts them: a job on stdin, their chunks on stdout
    #[command(hide = true)]
    Agent,
}

/// The actions that people give.
#[derive(Debug, Subcommand)]
enum Shown {
    Run(conduct::Conduct),
    Init(Init),
    /// List the bundled plans
    List,
    Tokenizers(tokenizer::Tokenizers),
}

/// `experiment` without its hidden action.
pub(super) fn shown(whole: Command) -> Command {
    let about = whole.get_about().cloned().unwrap_or_default();
    Shown::augment_subcommands(Command::new("experiment")).about(about)
}

/// Print a commented plan to start from, or write it to a file
#[derive(Args, Debug)]
struct Init {
    /// The name of a bundled plan
    #[arg(value_name = "NAME", default_value = "tr117-phase1")]
    name: String,
    /// The file to write; an existing file stays unchanged [default: stdout]
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
