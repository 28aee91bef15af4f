//! One run: the agents are prepared, started at once, and observed until the last one has ended.

use std::{collections::HashMap, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    agent::{Arrival, Clock, Ending, Job, Open, Task, Telling, work},
    plan::{ConditionPlan, LoadPlan, Plan, Role},
    process::{Child, ProcessError, Program},
    recorder::{Recorder, Row},
    recording::{AgentRow, RunRow},
    runner::RunError,
    schedule::Entry,
    watch::Watch,
};
use crate::analysis::{Agent, Chunk, Gaps, LagSample, Run};

/// The number of reports that may wait to be recorded.
const WAITING: usize = 256;

/// The inputs of a run.
pub(super) struct Course<'a> {
    pub(super) plan: &'a Plan,
    pub(super) entry: &'a Entry,
    pub(super) clock: Clock,
    pub(super) program: &'a dyn Fn(&ConditionPlan) -> Program,
    /// The URL of each Ollama, or of the sidecar in front of it.
    pub(super) urls: &'a HashMap<String, String>,
}

/// An agent of a run.
pub(super) struct Member {
    name: String,
    /// The time at which its request is due, in seconds since the start of the run.
    due: Option<f64>,
}

/// Returns the agents of a run. Those of an open-loop load take turns.
fn members(plan: &Plan, entry: &Entry) -> Vec<Member> {
    let team = entry.team.iter().cloned();
    match &plan.conditions[entry.condition].load {
        None => team.map(|name| Member { name, due: None }).collect(),
        Some(load) => {
            // Each run has arrivals of its own.
            let seed = plan.seed.wrapping_add(u64::from(entry.run).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let due = load.due(seed).into_iter();
            team.cycle().zip(due).map(|(name, due)| Member { name, due: Some(due) }).collect()
        }
    }
}

/// Returns the jobs of a condition's agents: one per process.
pub(super) fn jobs(
    plan: &Plan,
    condition: &ConditionPlan,
    team: &[Member],
    urls: &HashMap<String, String>,
) -> Vec<Job> {
    let tasks = team.iter().zip(0..).filter_map(|(member, agent)| {
        let role = plan.role(&member.name)?;
        let base = urls.get(&role.upstream)?.trim_end_matches('/');
        Some(Task { agent, due: member.due, url: format!("{base}{}", role.route.path()), body: role.body() })
    });
    let job = |tasks: Vec<Task>| Job {
        tasks,
        uvloop: condition.uvloop,
        orjson: condition.orjson,
        batch: condition.batch.map(|span| span.0.as_secs_f64()),
        read_buffer: condition.read_buffer,
        pace: condition.pace,
        leaky_pace: condition.leaky_pace,
        open: condition.load.as_ref().map(|load| Open {
            outstanding: load.outstanding as usize,
            timeout: plan.timeout.0.as_secs_f64(),
        }),
        keep_text: plan.keep_text,
        record: true,
    };
    if condition.processes { tasks.map(|task| job(vec![task])).collect() } else { vec![job(tasks.collect())] }
}

/// The state of an agent while it runs.
struct Seat<'a> {
    role: &'a Role,
    process: usize,
    last: f64,
    gaps: Gaps,
    ending: Option<Ending>,
}

impl Course<'_> {
    fn condition(&self) -> &ConditionPlan {
        &self.plan.conditions[self.entry.condition]
    }

    /// Executes the run, records it, and returns its row, which is not recorded yet.
    pub(super) async fn run(
        &self,
        recorder: &mut Recorder,
        watch: &mut dyn Watch,
    ) -> Result<RunRow, RunError> {
        let condition = self.condition();
        let team = members(self.plan, self.entry);
        let jobs = jobs(self.plan, condition, &team, self.urls);
        let mut seats = self.seats(&jobs, &team);
        let (mut processes, mut told) = self.begin(jobs).await?;
        let began = self.clock.now();
        let deadline = Instant::now() + self.limit();
        let mut cpu = vec![None; processes.len()];
        let mut late = false;
        loop {
            let telling = match timeout_at(deadline, told.recv()).await {
                Ok(Some(telling)) => telling,
                Ok(None) => break,
                Err(_) => {
                    late = true;
                    break;
                }
            };
            self.take(telling, &mut seats, &mut cpu, recorder, watch).await?;
        }
        if late {
            processes.shutdown().await;
        }
        let stopped = failures(&mut processes).await;
        let now = self.clock.now();
        let why = |process: usize| match stopped.get(&process) {
            Some(error) => error.clone(),
            None if late => format!("it did not end within {}", self.plan.timeout),
            None => "it did not report its end".to_owned(),
        };
        let shares: HashMap<usize, usize> = seats.iter().fold(HashMap::new(), |mut shares, seat| {
            *shares.entry(seat.process).or_default() += 1;
            shares
        });
        let mut agents = Vec::new();
        for (number, seat) in (0..).zip(seats) {
            let share = cpu[seat.process].map(|cpu| cpu / shares[&seat.process] as f64);
            let ending = seat.ending.unwrap_or_else(|| Ending {
                agent: number,
                started: began,
                duration: now - began,
                failure: Some(why(seat.process)),
                ..Ending::default()
            });
            if let Some(text) = &ending.text {
                recorder.send(Row::Text(self.entry.run, number, text.clone())).await?;
            }
            agents.push(AgentRow { gaps: seat.gaps, ..row(self.entry.run, seat.role, ending, share) });
        }
        Ok(self.over(agents))
    }

    /// Returns the longest time that the run may take.
    fn limit(&self) -> Duration {
        let arriving = self.condition().load.as_ref().map_or(0.0, LoadPlan::seconds);
        // Each request of an open-loop load has the limit of the plan to itself.
        let arriving = Duration::try_from_secs_f64(1.1 * arriving).unwrap_or(Duration::MAX);
        self.plan.timeout.0.saturating_add(arriving)
    }

    /// Returns the state of each agent of the jobs before the agents begin.
    fn seats(&self, jobs: &[Job], team: &[Member]) -> Vec<Seat<'_>> {
        let mut seats = Vec::new();
        for (process, job) in jobs.iter().enumerate() {
            let of_job = job.tasks.iter().filter_map(|task| team.get(task.agent as usize));
            let roles = of_job.filter_map(|member| self.plan.role(&member.name));
            let seat = |role| Seat { role, process, last: f64::NAN, gaps: Gaps::default(), ending: None };
            seats.extend(roles.map(seat));
        }
        seats
    }

    /// Starts every process, and lets all of them begin together.
    async fn begin(&self, jobs: Vec<Job>) -> Result<(Processes, mpsc::Receiver<Place>), RunError> {
        let (tell, told) = mpsc::channel(WAITING);
        let mut processes = Processes::new();
        if self.condition().in_process() {
            for (process, job) in jobs.into_iter().enumerate() {
                let ready = work(job).map_err(RunError::Client)?;
                let (tell, clock) = (tell.clone(), self.clock);
                processes.spawn(async move {
                    let (own, forward) = placed(process, tell);
                    tokio::join!(ready.begin(clock, own), forward);
                    (process, Ok(()))
                });
            }
            return Ok((processes, told));
        }
        let program = (self.program)(self.condition());
        let mut prepared = Vec::new();
        for job in &jobs {
            prepared.push(Child::start(&program, job).await?.prepare(self.clock).await?);
        }
        for (process, prepared) in prepared.into_iter().enumerate() {
            let tell = tell.clone();
            processes.spawn(async move {
                let (own, forward) = placed(process, tell);
                let (ended, ()) = tokio::join!(prepared.begin(own), forward);
                (process, ended)
            });
        }
        Ok((processes, told))
    }

    async fn take(
        &self,
        (process, telling): Place,
        seats: &mut [Seat<'_>],
        cpu: &mut [Option<f64>],
        recorder: &mut Recorder,
        watch: &mut dyn Watch,
    ) -> Result<(), RunError> {
        let run = self.entry.run;
        match telling {
            Telling::Arrivals { agent, arrivals } => {
                let Some(seat) = seats.get_mut(agent as usize) else { return Ok(()) };
                let chunk = |arrival: &Arrival| {
                    let gap = arrival.at - seat.last;
                    seat.last = arrival.at;
                    seat.gaps.add(gap);
                    let Arrival { at, bytes, records, parse } = *arrival;
                    Chunk { run, agent, at, bytes, records, gap, parse, streams: 0 }
                };
                let chunks: Vec<Chunk> = arrivals.iter().map(chunk).collect();
                watch.records(agent, arrivals.iter().map(|arrival| arrival.records).sum());
                recorder.send(Row::Chunks(chunks)).await?;
            }
            Telling::Lags { probe, samples } => {
                let process = process as u32;
                let sample = |(at, lag): (f64, f64)| LagSample { run, process, probe, at, lag };
                recorder.send(Row::Lag(samples.into_iter().map(sample).collect())).await?;
            }
            Telling::Ended(ending) => {
                watch.ended(ending.agent, ending.failure.as_deref());
                if let Some(seat) = seats.get_mut(ending.agent as usize) {
                    seat.ending = Some(*ending);
                }
            }
            Telling::Over { cpu: spent } => cpu[process] = Some(spent),
        }
        recorder.send(Row::Flush).await?;
        Ok(())
    }

    fn over(&self, agents: Vec<AgentRow>) -> RunRow {
        let starts = agents.iter().map(|row| row.agent.started);
        let ends = agents.iter().map(|row| row.agent.started + row.agent.duration);
        let started = starts.fold(f64::INFINITY, f64::min);
        let wall = ends.fold(f64::NEG_INFINITY, f64::max) - started;
        RunRow {
            run: Run {
                id: self.entry.run,
                condition: self.condition().name.clone(),
                kind: self.entry.kind,
                warm_up: self.entry.warm_up,
                started,
                wall: (wall > 0.0).then_some(wall),
                joules: None,
                agents: u32::try_from(agents.len()).ok(),
                repetition: Some(self.entry.repetition),
            },
            agents,
        }
    }
}

/// A report, with the number of its process.
type Place = (usize, Telling);

/// The running processes, each with its result.
type Processes = JoinSet<(usize, Result<(), ProcessError>)>;

/// Waits until all processes have ended. Returns the errors of those that failed.
async fn failures(processes: &mut Processes) -> HashMap<usize, String> {
    let mut failures = HashMap::new();
    while let Some(ended) = processes.join_next().await {
        match ended {
            Ok((process, Err(error))) => {
                failures.insert(process, error.to_string());
            }
            Ok((_, Ok(()))) | Err(_) => {}
        }
    }
    failures
}

/// Returns a channel for one process, and the task that adds the number of the process to its reports.
fn placed(process: usize, tell: mpsc::Sender<Place>) -> (mpsc::Sender<Telling>, impl Future<Output = ()>) {
    let (own, mut told) = mpsc::channel(WAITING);
    let forward = async move {
        while let Some(telling) = told.recv().await {
            if tell.send((process, telling)).await.is_err() {
                return;
            }
        }
    };
    (own, forward)
}

fn row(run: u32, role: &Role, ending: Ending, cpu: Option<f64>) -> AgentRow {
    let seconds = |nanoseconds: Option<u64>| nanoseconds.map(|nanoseconds| nanoseconds as f64 / 1e9);
    AgentRow {
        chunks: ending.chunks,
        bytes: ending.bytes,
        gaps: Gaps::default(),
        upstream: role.upstream.clone(),
        agent: Agent {
            run,
            agent: ending.agent,
            role: role.name.clone(),
            model: role.model.clone(),
            scheduled: ending.scheduled,
            started: ending.started,
            duration: ending.duration,
            first_token: ending.first_token,
            tokens: ending.eval_count,
            eval_duration: seconds(ending.eval_duration),
            prompt_tokens: ending.prompt_eval_count,
            prompt_eval_duration: seconds(ending.prompt_eval_duration),
            load_duration: seconds(ending.load_duration),
            total_duration: seconds(ending.total_duration),
            cpu,
            failure: ending.failure.map(|failure| failure.replace(char::is_control, " ")),
            served: None,
        },
    }
}
