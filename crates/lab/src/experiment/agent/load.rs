//! The generator of an open-loop load: it sends each request when it is due, and never waits for a response.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{Clock, Ending, Job, stream::ReadyAgent, tape::Tape};
use crate::analysis::NOT_SENT;

/// The limits of an open-loop load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// The most requests that may be outstanding. A request that is due beyond it is not sent, and fails.
    pub outstanding: usize,
    /// A response that takes longer than this, in seconds, has failed.
    pub timeout: f64,
}

/// Sends every request when it is due, and returns when the last one has ended. The ends are on the tape. The agents are
/// in the order of their times.
pub(super) async fn generate(
    open: Open,
    agents: Vec<ReadyAgent>,
    job: Arc<Job>,
    clock: Clock,
    tape: Arc<Tape>,
) {
    let (began, zero) = (Instant::now(), clock.now());
    let mut running = JoinSet::new();
    for agent in agents {
        let due = began + Duration::from_secs_f64(agent.due);
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due) => break,
                Some(_) = running.join_next() => {}
            }
        }
        while running.try_join_next().is_some() {}
        let scheduled = Some(zero + agent.due);
        if running.len() >= open.outstanding {
            tape.ended(Ending {
                agent: agent.number,
                scheduled,
                started: clock.now(),
                failure: Some(format!("{NOT_SENT}: {} requests were outstanding", open.outstanding)),
                ..Ending::default()
            });
            continue;
        }
        let (job, tape) = (job.clone(), tape.clone());
        running.spawn(async move {
            let started = clock.now();
            let answered =
                timeout(Duration::from_secs_f64(open.timeout), agent.ask(&job, clock, &tape)).await;
            let ending = answered.unwrap_or_else(|_| Ending {
                agent: agent.number,
                started,
                duration: clock.now() - started,
                failure: Some(format!("it did not end within {} s", open.timeout)),
                ..Ending::default()
            });
            tape.ended(Ending { scheduled, ..ending });
        });
    }
    while running.join_next().await.is_some() {}
}
