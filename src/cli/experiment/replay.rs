//! `experiment replay`: sends the arrivals and lengths of live traffic to another Ollama.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use super::{
    super::{CommandFailure, Global, Process, output, runtimes},
    conduct::{self, folder},
};
use crate::{
    analysis::Settings,
    collector::gpu::Nvml,
    config,
    experiment::{
        Options,
        plan::Plan,
        recording::{self, Recorded, read_all},
        replay::{Filler, ReplayError, Replayed},
    },
};

/// Send the arrivals and lengths of live traffic to another Ollama, and record its responses
///
/// The requests are sent at the recorded times, whatever the responses do. Prompts are filler text with about as many tokens,
/// and num_predict is the recorded number of output tokens. `streamgauge report` analyses the recording.
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// The folder of a recording of live traffic
    #[arg(value_name = "DIR")]
    recording: PathBuf,
    /// The Ollama, or a sidecar before it, as a URL or HOST:PORT
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// The model of all requests, instead of the recorded ones
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The folder of the new recording [default: the name of the recording and the time]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Replay {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        let (recorded, replayed) = self.read()?;
        if replayed.left_out > 0 {
            output::print(format!(
                "{} of {} requests have no known model or token counts, and are left out\n",
                replayed.left_out,
                replayed.left_out + replayed.count()
            ))?;
        }
        let url = config::with_scheme(&self.upstream).into_owned();
        let plan = self.plan(&recorded, &replayed, &url)?;
        let output = self.output.unwrap_or_else(|| folder(&plan));
        let options = Options {
            folder: output.clone(),
            resume: false,
            python: PathBuf::from("python3"),
            program: std::env::current_exe().context("cannot find this program's own file")?,
            unset: config::variables(),
            until: None,
            gpu: Some(Box::new(Nvml::new())),
        };
        let interrupted = "interrupted: the replay has no result; run it again";
        conduct::execute(&plan, options, interrupted, global, process)?;
        let replay = recording::read(&output).map_err(anyhow::Error::from)?;
        output::print(format!("{}\n", replayed.fidelity(&replay.recording)))
    }

    fn read(&self) -> Result<(Recorded, Replayed), CommandFailure> {
        let name = self.recording.display();
        let recorded =
            read_all(&self.recording, &Settings::default(), &mut |_| {}).map_err(anyhow::Error::from)?;
        let mut live: Vec<Recorded> = recorded.into_iter().filter(|one| one.recording.live).collect();
        if live.len() > 1 {
            let found: Vec<&str> = live.iter().map(|one| one.name.as_str()).collect();
            let found = found.join(", ");
            return Err(CommandFailure::Usage(
                format!("{name} holds several recordings of live traffic: name one of them ({found})").into(),
            ));
        }
        let one = live.pop().ok_or_else(|| anyhow!("{name}: {}", ReplayError::NoTraffic))?;
        let replayed = Replayed::of(&one.recording, self.model.as_deref())
            .map_err(|error| anyhow!("{name}: {error}"))?;
        Ok((one, replayed))
    }

    /// Measures the filler text of each model, and makes the plan.
    fn plan(&self, recorded: &Recorded, replayed: &Replayed, url: &str) -> anyhow::Result<Plan> {
        let runtime = runtimes::small().context("cannot start a runtime")?;
        let mut fillers = BTreeMap::new();
        for model in replayed.models() {
            let measured = runtime.block_on(Filler::measure(url, model));
            let filler =
                measured.map_err(|error| anyhow!("the Ollama cannot be asked about the model {error}"))?;
            fillers.insert(model.to_owned(), filler);
        }
        Ok(replayed.plan(&format!("replay of {}", recorded.name), url, &fillers))
    }
}
