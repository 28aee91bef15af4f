//! All agents of one process, with the probes.

use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{Clock, Ending, HAND_ON, Job, Telling, load, probe, stream::ReadyAgent, tape::Tape};

/// Agents that are ready to start.
pub struct Ready {
    job: Arc<Job>,
    agents: Vec<ReadyAgent>,
}

/// Prepares the agents of a job.
///
/// # Errors
/// A client cannot be created.
pub fn work(job: Job) -> Result<Ready, String> {
    let job = Arc::new(job);
    let agents = match job.open {
        Some(_) => ReadyAgent::sharing(&job)?,
        None => (0..job.tasks.len()).map(|place| ReadyAgent::new(place, &job)).collect::<Result<_, _>>()?,
    };
    Ok(Ready { job, agents })
}

impl Ready {
    /// Starts all agents at once, or those of an open-loop load when they are due, and reports their observations until the last one has ended. It stops early if it
    /// is dropped, or if the receiver is closed.
    pub async fn begin(self, clock: Clock, tell: mpsc::Sender<Telling>) {
        let Ready { job, agents } = self;
        let numbers: Vec<u32> = job.tasks.iter().map(|task| task.agent).collect();
        let tape = Arc::new(Tape::new(agents.len()));
        let before = cpu_seconds();
        let mut probes = JoinSet::new();
        if job.record {
            let looked = tape.clone();
            probes.spawn(async move { probe::schedule(clock, &looked).await });
            let looked = tape.clone();
            probes.spawn(async move { probe::by_yielding(clock, &looked).await });
        }
        // The generator of an open-loop load puts the ends of its requests on the tape.
        let mut running: JoinSet<Option<Ending>> = JoinSet::new();
        if let Some(open) = job.open {
            let generating = load::generate(open, agents, job.clone(), clock, tape.clone());
            running.spawn(async move {
                generating.await;
                None
            });
        } else {
            for agent in agents {
                let (job, tape) = (job.clone(), tape.clone());
                running.spawn(async move { Some(agent.ask(&job, clock, &tape).await) });
            }
        }
        let mut ticks = interval(HAND_ON);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    None => break,
                    // The task panicked, and stderr shows it. The run reports that the agent is missing.
                    Some(Err(_) | Ok(None)) => {}
                    Some(Ok(Some(ending))) => {
                        if tell.send(Telling::Ended(Box::new(ending))).await.is_err() {
                            return;
                        }
                    }
                },
                _ = ticks.tick() => {
                    for telling in tape.take(&numbers) {
                        if tell.send(telling).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
        let cpu = cpu_seconds() - before;
        probes.shutdown().await;
        for telling in tape.take(&numbers).into_iter().chain([Telling::Over { cpu }]) {
            if tell.send(telling).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the CPU time of all threads of this process.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
