//! A whole experiment: it checks its requirements, and then executes one run after another.

mod error;
mod precise;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsString,
    io,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Instant, sleep};

use super::{
    agent::{Clock, Job},
    course::Course,
    gpu::{Gpus, NEXT},
    machine::machine,
    ollama,
    plan::{ConditionPlan, Plan},
    process::{Child, Program},
    recorder::{Recorder, Row},
    recording::{Environment, FORMAT, Finished, Session, Writer, finished, read},
    schedule::{Entry, schedule},
    sidecar::{Sidecar, changes},
    watch::Watch,
};
use crate::analysis::{Language, Precision, Recording, Until};
use streamgauge_collector::gpu::Reader;

use error::IN_VAIN;
pub use error::RunError;
use precise::Precise;
use sweep::Stopped;

/// The options of an experiment.
pub struct Options {
    /// The folder of the recording: a new one, or, with `resume`, an existing one.
    pub folder: PathBuf,
    /// Whether an interrupted experiment continues.
    pub resume: bool,
    /// The Python interpreter.
    pub python: PathBuf,
    /// The path of this program, for agents and sidecars in processes of their own.
    pub program: PathBuf,
    /// Variables that its sidecars do not inherit, so that only their configuration files decide.
    pub unset: Vec<OsString>,
    /// The rule that stops it before the last repetition.
    pub until: Option<Until>,
    /// The reader of GPUs.
    pub gpu: Option<Box<dyn Reader>>,
}

/// The result of an experiment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// The runs.
    pub runs: usize,
    /// The runs in which an agent failed.
    pub failed: usize,
    /// The precision at the last look, if there is a rule that stops the experiment.
    pub precision: Option<Precision>,
}

/// Executes a plan. If the future is dropped, it stops in the middle of a run, and `resume` repeats that run.
///
/// # Errors
/// A requirement is missing, the recording cannot be written, or every agent fails.
pub async fn run(plan: &Plan, options: Options, watch: &mut dyn Watch) -> Result<Done, RunError> {
    let Options { folder, resume, python, program, unset, until, gpu } = options;
    let before = if resume { Some(finished(&folder, plan)?) } else { None };
    let program_of = |condition: &ConditionPlan| match condition.language {
        Language::Python => Program::Python(python.clone()),
        Language::Rust => Program::Rust(program.clone()),
    };
    let mut environment = environment(plan, &program_of, before.as_ref()).await?;
    environment.stop_by(until.map(|until| until.to_string()));
    let gpus = gpu.and_then(Gpus::open);
    environment.gpus = gpus.as_ref().map(|gpus| gpus.found.clone()).unwrap_or_default();
    let done = before.map(|before| before.runs).unwrap_or_default();
    // Runs end in the order of the schedule. So an earlier run that is missing was skipped, because its sweep had ended.
    let next = done.last().map_or(0, |last| last + 1);
    let (over, left): (Vec<Entry>, Vec<Entry>) =
        schedule(plan).into_iter().partition(|entry| entry.run < next);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    if environment.began_unix_s == 0.0 {
        environment.began_unix_s = now;
    }
    // If the wall clock was set back in between, new timestamps must still come after the existing ones.
    let last = environment.sessions.last().map_or(0.0, |session| session.timestamp);
    let clock = Clock::from((now - environment.began_unix_s).max(last));
    let first_run = left.first().map_or(0, |entry| entry.run);
    environment.sessions.push(Session { timestamp: clock.now(), first_run });
    let writer = if resume {
        Writer::describe(&folder, &environment)?;
        Writer::open(&folder)?
    } else {
        Writer::create(&folder, plan, &environment)?
    };
    let before = if resume { read(&folder)?.recording } else { Recording::default() };
    let stopped = Stopped::resumed(plan, &before);
    let precise = until.map(|until| Precise::new(plan, until, &before));
    let mut recorder = Recorder::start(writer)?;
    let gpu = gpus.zip(recorder.rows()).and_then(|(gpus, rows)| gpus.watch(clock, rows));
    let mut experiment = Experiment {
        plan,
        environment,
        clock,
        program: &program_of,
        own: program.clone(),
        unset,
        folder,
        sidecars: HashMap::new(),
        stopped,
        precise,
        recorder: &mut recorder,
    };
    if gpu.is_some() {
        // Only a run between two readings has an energy: the first and the last one, too.
        sleep(NEXT).await;
    }
    let ran = experiment.all(over.last(), &left, watch).await;
    if gpu.is_some() {
        sleep(NEXT).await;
    }
    drop(gpu);
    let written = recorder.finish().await;
    let done = ran?;
    written?;
    Ok(done)
}

struct Experiment<'a> {
    plan: &'a Plan,
    environment: Environment,
    clock: Clock,
    program: &'a dyn Fn(&ConditionPlan) -> Program,
    own: PathBuf,
    unset: Vec<OsString>,
    folder: PathBuf,
    /// The sidecars, by condition and upstream.
    sidecars: HashMap<(usize, String), Sidecar>,
    stopped: Stopped,
    precise: Option<Precise>,
    recorder: &'a mut Recorder,
}

impl Experiment<'_> {
    /// Executes the runs that are left. `over` is the last one of a recording that continues.
    async fn all(
        &mut self,
        over: Option<&Entry>,
        entries: &[Entry],
        watch: &mut dyn Watch,
    ) -> Result<Done, RunError> {
        let mut left: Duration = entries.iter().map(|entry| entry.expected(self.plan)).sum();
        watch.begun(entries.len(), left);
        let began = Instant::now();
        let (mut done, mut in_vain) = (Done::default(), 0);
        let mut expected_so_far = Duration::ZERO;
        if let Some(over) = over
            && self.look(over, entries.first(), &mut done)?
        {
            return Ok(done);
        }
        for (place, entry) in entries.iter().enumerate() {
            if self.stopped.skips(self.plan, entry) {
                left = left.saturating_sub(entry.expected(self.plan));
                watch.skipped(entry);
                continue;
            }
            let row = self.one(entry, watch).await?;
            let failures: Vec<&str> =
                row.agents.iter().filter_map(|row| row.agent.failure.as_deref()).collect();
            self.stopped.observe(self.plan, entry, &row);
            done.runs += 1;
            done.failed += usize::from(!failures.is_empty());
            in_vain = if failures.len() == row.agents.len() { in_vain + 1 } else { 0 };
            let last = failures.last().map(|failure| (*failure).to_owned()).unwrap_or_default();
            let expected = entry.expected(self.plan);
            left = left.saturating_sub(expected);
            expected_so_far += expected;
            // The time so far corrects the expectation.
            let ratio = began.elapsed().as_secs_f64() / expected_so_far.as_secs_f64().max(1e-3);
            watch.over(&row, left.mul_f64(ratio.clamp(0.01, 1000.0)));
            if let Some(precise) = &mut self.precise {
                precise.add(&row);
            }
            self.recorder.send(Row::Run(Box::new(row))).await?;
            if in_vain >= IN_VAIN {
                return Err(RunError::InVain(last));
            }
            if self.look(entry, entries.get(place + 1), &mut done)? {
                return Ok(done);
            }
            sleep(self.plan.pause.0).await;
        }
        Ok(done)
    }

    /// Looks at the intervals if the repetition of this run is over, and records the look. Returns whether they are narrow
    /// enough.
    fn look(&mut self, entry: &Entry, next: Option<&Entry>, done: &mut Done) -> io::Result<bool> {
        if entry.warm_up || next.is_some_and(|next| next.repetition == entry.repetition) {
            return Ok(false);
        }
        let Some(found) = self.precise.as_ref().and_then(|precise| precise.look(entry.repetition + 1)) else {
            return Ok(false);
        };
        let reached = found.reached;
        let looks = &mut self.environment.looks;
        looks.retain(|look| look.repetitions < found.repetitions);
        looks.push(found.clone());
        done.precision = Some(found);
        Writer::describe(&self.folder, &self.environment)?;
        Ok(reached)
    }

    async fn one(
        &mut self,
        entry: &Entry,
        watch: &mut dyn Watch,
    ) -> Result<super::recording::RunRow, RunError> {
        let condition = &self.plan.conditions[entry.condition];
        watch.run(&condition.name, entry);
        let urls = self.urls(entry.condition).await?;
        let before = self.scrape(entry.condition).await?;
        let course = Course { plan: self.plan, entry, clock: self.clock, program: self.program, urls: &urls };
        let row = course.run(self.recorder, watch).await?;
        for (upstream, after) in self.scrape(entry.condition).await? {
            let changes = changes(&before[&upstream], &after);
            self.recorder.send(Row::Sidecar(entry.run, upstream, changes)).await?;
        }
        Ok(row)
    }

    /// Returns the URLs for the agents of a condition. Its sidecars are started when they are first needed.
    async fn urls(&mut self, place: usize) -> Result<HashMap<String, String>, RunError> {
        let condition = &self.plan.conditions[place];
        let Some(sidecar) = &condition.sidecar else {
            return Ok(self.plan.upstreams.clone().into_iter().collect());
        };
        let mut urls = HashMap::new();
        for upstream in upstreams(self.plan, condition) {
            let key = (place, upstream.clone());
            if !self.sidecars.contains_key(&key) {
                let (number, url) = (self.sidecars.len(), &self.plan.upstreams[&upstream]);
                let program = (self.own.as_path(), self.unset.as_slice());
                let started = Sidecar::start(program, &self.folder, number, sidecar, (&upstream, url)).await;
                self.sidecars.insert(key.clone(), started.map_err(RunError::Sidecar)?);
            }
            urls.insert(upstream, self.sidecars[&key].url.clone());
        }
        Ok(urls)
    }

    async fn scrape(&self, place: usize) -> Result<BTreeMap<String, BTreeMap<String, f64>>, RunError> {
        let mut scrapes = BTreeMap::new();
        for ((condition, upstream), sidecar) in &self.sidecars {
            if *condition == place {
                scrapes.insert(upstream.clone(), sidecar.scrape().await.map_err(RunError::Sidecar)?);
            }
        }
        Ok(scrapes)
    }
}

/// Returns the names of the Ollamas that a condition's agents use.
fn upstreams(plan: &Plan, condition: &ConditionPlan) -> BTreeSet<String> {
    condition
        .distinct()
        .into_iter()
        .filter_map(|name| plan.role(name))
        .map(|role| role.upstream.clone())
        .collect()
}

/// Asks every Ollama, and starts Python once for each set of packages, so that missing parts are reported before the
/// first run.
async fn environment(
    plan: &Plan,
    program: &dyn Fn(&ConditionPlan) -> Program,
    before: Option<&Finished>,
) -> Result<Environment, RunError> {
    let mut environment = before.map(|before| before.environment.clone()).unwrap_or_default();
    environment.format = FORMAT;
    environment.streamgauge = env!("CARGO_PKG_VERSION").into();
    environment.machine = machine();
    let mut missing = Vec::new();
    let used: BTreeSet<String> =
        plan.conditions.iter().flat_map(|condition| upstreams(plan, condition)).collect();
    for name in used {
        match ollama::ask(plan, &name).await {
            Ok(upstream) => {
                environment.upstreams.insert(name, upstream);
            }
            Err(error) => missing.push(error),
        }
    }
    let mut tried = BTreeSet::new();
    for condition in plan.conditions.iter().filter(|condition| condition.language == Language::Python) {
        if !tried.insert((condition.uvloop, condition.orjson)) {
            continue;
        }
        let job = Job { uvloop: condition.uvloop, orjson: condition.orjson, ..Job::default() };
        match Child::start(&program(condition), &job).await {
            Ok(child) => environment.python.extend(child.versions().clone()),
            Err(error) => {
                let error = error.to_string();
                if !missing.contains(&error) {
                    missing.push(error);
                }
            }
        }
    }
    if missing.is_empty() { Ok(environment) } else { Err(RunError::NotReady(missing)) }
}
