//! `experiment`: runs agents against Ollama and writes a recording.

mod conduct;
mod plan;
mod progress;
mod replay;
mod tokenizer;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, Subcommand};

use super::{CommandFailure, Global, Process, output, runtimes};
use crate::experiment::{plan::BUNDLED, process::serve};

/// Run agents against Ollama as a plan describes, and record their streams
///
/// `streamgauge report` analyses a recording.
#[derive(Args, Debug)]
pub(super) struct Experiment {
    #[command(subcommand)]
    action: ExperimentAction,
}

#[derive(Debug, Subcommand)]
enum ExperimentAction {
    #[command(flatten)]
    Shown(VisibleAction),
    /// The agents of one process, as `run` starts them: a job on stdin, their chunks on stdout
    #[command(hide = true)]
    Agent,
}

/// The actions that `--help` shows.
#[derive(Debug, Subcommand)]
enum VisibleAction {
    Run(conduct::Conduct),
    Replay(replay::Replay),
    Init(PlanInit),
    /// List the bundled plans
    List,
    Tokenizers(tokenizer::Tokenizers),
}

/// The command `experiment` without its hidden action.
pub(super) fn shown(whole: Command) -> Command {
    let about = whole.get_about().cloned().unwrap_or_default();
    VisibleAction::augment_subcommands(Command::new("experiment")).about(about)
}

/// Print a commented plan to start from, or write it to a file
#[derive(Args, Debug)]
struct PlanInit {
    /// The name of a bundled plan
    #[arg(value_name = "NAME", default_value = "quick")]
    name: String,
    /// The file to write; an existing file stays unchanged [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Experiment {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        match self.action {
            ExperimentAction::Shown(VisibleAction::Run(conduct)) => conduct.run(global, process),
            ExperimentAction::Shown(VisibleAction::Replay(replay)) => replay.run(global, process),
            ExperimentAction::Shown(VisibleAction::Init(init)) => init.run(),
            ExperimentAction::Shown(VisibleAction::List) => list(),
            ExperimentAction::Shown(VisibleAction::Tokenizers(tokenizers)) => tokenizers.run(),
            ExperimentAction::Agent => {
                let runtime = runtimes::main().context("cannot start a runtime")?;
                Ok(runtime.block_on(serve()).context("the process of the agents failed")?)
            }
        }
    }
}

fn list() -> Result<(), CommandFailure> {
    let width = BUNDLED.iter().map(|bundled| bundled.name.len()).max().unwrap_or_default();
    let line =
        |bundled: &crate::experiment::plan::Bundled| format!("{:width$}  {}\n", bundled.name, bundled.about);
    output::print(BUNDLED.iter().map(line).collect::<String>())
}

impl PlanInit {
    fn run(self) -> Result<(), CommandFailure> {
        let text = plan::bundled(&self.name)?.text;
        let Some(file) = self.output else { return output::print(text) };
        let written = std::fs::File::create_new(&file)
            .and_then(|mut new| std::io::Write::write_all(&mut new, text.as_bytes()));
        Ok(written.with_context(|| format!("cannot write {}", file.display()))?)
    }
}
