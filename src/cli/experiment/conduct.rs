//! `experiment run`.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use tracing::Level;

use super::{
    super::{CommandFailure, Global, Process, output, runtimes},
    plan,
    progress::RunProgress,
};
use crate::{
    analysis::{Language, RunKind, Until},
    collector::gpu::Nvml,
    config,
    experiment::{
        self, Done, Entry, Options, RunError,
        plan::{Overrides, Plan},
        schedule,
    },
};

/// Run a plan and write a recording
///
/// Warm-up runs come first. Then the runs of every condition and of every agent alone follow, in a random order that
/// the seed decides. Ctrl-C stops the experiment, and --resume continues it. The recording has no text of prompts and
/// answers unless the plan sets keep_text. Exit code 2: the plan has mistakes.
#[derive(Args, Debug)]
pub(super) struct Conduct {
    /// The file of a plan, or the name of a bundled plan
    #[arg(value_name = "PLAN")]
    plan: String,
    /// The folder of the recording [default: the plan's name and the time]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the schedule and its expected time, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Continue the recording in --output
    #[arg(long, requires = "output", conflicts_with = "dry_run")]
    resume: bool,
    /// The random seed, instead of the plan's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The runs of every condition, instead of the plan's
    #[arg(long, value_name = "N")]
    repetitions: Option<u32>,
    /// Repeat until the interval of this measure is that narrow in every condition, as in "true efficiency +- 3 %", but at
    /// most --repetitions times (default with this flag: 50)
    #[arg(long, value_name = "RULE")]
    until: Option<Until>,
    /// The model of all agents, instead of the plan's
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The tokens of all agents, instead of the plan's
    #[arg(long, value_name = "N")]
    tokens: Option<u32>,
    /// The URL of the Ollama with this name in the plan, or of all without a name; repeat the flag for more
    #[arg(long, value_name = "[NAME=]URL", value_parser = upstream)]
    upstream: Vec<(Option<String>, String)>,
    /// Leave out the conditions in this language, if it is not installed
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    skip: Option<Skipped>,
    /// A Python interpreter that has httpx
    #[arg(long, value_name = "PATH", default_value = PYTHON)]
    python: PathBuf,
}

/// The default interpreter.
const PYTHON: &str = "python3";

/// The limit of the repetitions with `--until`.
const MOST_REPETITIONS: u32 = 50;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Skipped {
    Python,
}

/// Splits `NAME=URL`. A `=` after the scheme belongs to the URL.
#[expect(clippy::unnecessary_wraps, reason = "clap expects a result; the plan is validated later")]
fn upstream(text: &str) -> Result<(Option<String>, String), String> {
    let (name, url) = match text.split_once('=') {
        Some((name, url)) if !name.contains("://") => (Some(name.to_owned()), url),
        _ => (None, text),
    };
    Ok((name, config::with_scheme(url).into_owned()))
}

impl Conduct {
    /// Returns the settings that take precedence over those of the plan.
    fn overrides(&self) -> Result<Overrides, CommandFailure> {
        let repetitions = self.repetitions.or(self.until.map(|_| MOST_REPETITIONS));
        if self.until.is_some() && repetitions < Some(Until::FIRST_LOOK) {
            let least = Until::FIRST_LOOK;
            return Err(CommandFailure::Usage(format!("--until needs {least} repetitions or more").into()));
        }
        Ok(Overrides {
            seed: self.seed,
            repetitions,
            model: self.model.clone(),
            tokens: self.tokens,
            upstreams: self.upstream.clone(),
            skip: self.skip.map(|Skipped::Python| Language::Python),
        })
    }

    /// Returns the command that continues the experiment: with the settings of this one, because they belong to the plan.
    fn resuming(&self, folder: &Path) -> String {
        let mut words = vec!["streamgauge".to_owned(), "experiment".into(), "run".into(), self.plan.clone()];
        let mut add = |flag: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
        };
        add("--seed", self.seed.map(|seed| seed.to_string()));
        add("--repetitions", self.repetitions.map(|repetitions| repetitions.to_string()));
        add("--until", self.until.map(|until| until.to_string()));
        add("--model", self.model.clone());
        add("--tokens", self.tokens.map(|tokens| tokens.to_string()));
        for (name, url) in &self.upstream {
            let name = name.as_ref().map_or(String::new(), |name| format!("{name}="));
            add("--upstream", Some(format!("{name}{url}")));
        }
        add("--skip", self.skip.map(|Skipped::Python| "python".into()));
        let python = self.python.display().to_string();
        add("--python", (python != PYTHON).then_some(python));
        add("--output", Some(folder.display().to_string()));
        words.push("--resume".into());
        // Without NUL, which no argument of a process contains, every word can be quoted.
        shlex::Quoter::new().allow_nul(true).join(words.iter().map(String::as_str)).unwrap_or_default()
    }

    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        let overrides = self.overrides()?;
        let plan = plan::load(&self.plan, &overrides)?;
        if let Some(until) = self.until {
            let never =
                |why| CommandFailure::Usage(format!("--until \"{until}\" can never stop it: {why}").into());
            plan.can_stop(until).map_err(never)?;
        }
        if self.dry_run {
            return output::print(listed(&plan, self.until));
        }
        let folder = self.output.clone().unwrap_or_else(|| folder(&plan));
        let interrupted = format!("interrupted: `{}` continues", self.resuming(&folder));
        let options = Options {
            folder,
            resume: self.resume,
            python: self.python,
            program: std::env::current_exe().context("cannot find this program's own file")?,
            unset: config::variables(),
            until: self.until,
            gpu: Some(Box::new(Nvml::new())),
        };
        execute(&plan, options, &interrupted, global, process)
    }
}

/// Runs a plan and prints what it has done. `interrupted` is the message if a signal ends it.
pub(super) fn execute(
    plan: &Plan,
    options: Options,
    interrupted: &str,
    global: &Global,
    process: Process,
) -> Result<(), CommandFailure> {
    let mut log = global.log();
    if global.verbose == 0 {
        // The progress display shows what happens.
        log.level = log.level.min(Level::WARN);
    }
    let _ = (process.log)(&log);
    let stop = (process.signals)().context("cannot listen for signals")?;
    let (folder, until) = (options.folder.clone(), options.until);
    let runtime = runtimes::main().context("cannot start a runtime")?;
    let mut progress = RunProgress::new(!global.quiet && global.verbose == 0, until.is_some());
    let ran = runtime.block_on(async {
        tokio::select! {
            biased;
            () = stop.drain() => None,
            ran = experiment::run(plan, options, &mut progress) => Some(ran),
        }
    });
    drop(progress);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let name = folder.display();
    match ran {
        None => Err(anyhow!("{interrupted}").into()),
        Some(Err(RunError::NotReady(missing))) => {
            Err(anyhow!("nothing was run:\n  {}", missing.join("\n  ").replace('\n', "\n  ")).into())
        }
        Some(Err(RunError::Recording(error))) if is_full(&error) => {
            Err(anyhow!("cannot write the recording: {error}; free disk space, then continue with --resume")
                .into())
        }
        Some(Err(error)) => Err(anyhow::Error::from(error).into()),
        Some(Ok(done)) => output::print(summary(done, until, &name.to_string())),
    }
}

/// The disk or a quota is full.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn summary(Done { runs, failed, precision }: Done, until: Option<Until>, folder: &str) -> String {
    let failed = if failed == 0 { String::new() } else { format!(", {failed} of them with a failure") };
    let sentence = |until: Until| Some(format!("{}\n", precision?.sentence(&until.to_string())));
    let precise = until.and_then(sentence).unwrap_or_default();
    format!("{folder}: {runs} runs{failed}\n{precise}streamgauge report {folder}\n")
}

/// The plan's name and the time in UTC, so that each recording gets its own folder.
pub(super) fn folder(plan: &Plan) -> PathBuf {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let name: String = plan
        .name
        .chars()
        .map(|sign| if sign.is_alphanumeric() || "-_.".contains(sign) { sign } else { '-' })
        .collect();
    format!("{name}-{}", time.replace([':', 'T'], "-").trim_end_matches('Z')).into()
}

/// The schedule, one line for each run, and its expected time.
fn listed(plan: &Plan, until: Option<Until>) -> String {
    let schedule = schedule(plan);
    let width =
        plan.conditions.iter().map(|condition| condition.name.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:>4}  {:<width$}  kind      agents\n", "run", "condition");
    for entry in &schedule {
        let name = &plan.conditions[entry.condition].name;
        text += &format!("{:>4}  {name:<width$}  {:<8}  {}\n", entry.run, kind(entry), team(&entry.team));
    }
    let expected: Duration = schedule.iter().map(|entry| entry.expected(plan)).sum();
    let expected = humantime::format_duration(Duration::from_secs(expected.as_secs()));
    let most = until.map_or("", |_| "at most ");
    text + &format!(
        "{most}{} runs, about {expected} if every stream generates {} tokens per second (expected_rate)\n",
        schedule.len(),
        plan.expected_rate
    )
}

fn kind(entry: &Entry) -> &'static str {
    match (entry.warm_up, entry.kind) {
        (true, _) => "warm-up",
        (false, RunKind::Solo) => "solo",
        (false, RunKind::Together) => "together",
        (false, RunKind::Open) => "load",
    }
}

/// The names of the agents, each once with its count.
fn team(team: &[String]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in team {
        match counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let shown = counts.iter().map(|(name, count)| match count {
        1 => (*name).to_owned(),
        count => format!("{count} × {name}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}
