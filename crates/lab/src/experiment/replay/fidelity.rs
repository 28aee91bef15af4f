//! How closely a replay repeated the recorded traffic.

use std::{collections::HashMap, fmt};

use super::{LATENESS, Replayed, role};
use crate::analysis::{Agent, Recording};

/// How closely a replay repeated the recorded traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fidelity {
    /// The requests that were to be sent.
    pub requests: usize,
    /// The requests that were sent in time.
    pub on_time: usize,
    /// The largest time by which a request was sent late, in seconds.
    pub latest: f64,
    /// The requests that failed. The lengths leave them out.
    pub failed: usize,
    /// The tokens of the outputs, and those that were recorded.
    pub output: (u64, u64),
    /// The outputs that ended before their recorded length.
    pub shorter: usize,
    /// The tokens of the prompts, and those that were recorded.
    pub prompt: (u64, u64),
}

impl Replayed {
    /// Compares the recording of a replay with the traffic that was to be sent.
    #[must_use]
    pub fn fidelity(&self, replay: &Recording) -> Fidelity {
        let agents: HashMap<&str, &Agent> =
            replay.agents.iter().map(|agent| (agent.role.as_str(), agent)).collect();
        let mut found = Fidelity { requests: self.requests.len(), ..Fidelity::default() };
        for (number, sent) in self.requests.iter().enumerate() {
            let Some(agent) = agents.get(role(number).as_str()) else {
                found.failed += 1;
                continue;
            };
            let late = agent.scheduled.map_or(0.0, |due| agent.started - due);
            found.on_time += usize::from(late <= LATENESS.as_secs_f64());
            found.latest = found.latest.max(late);
            let (None, Some(output)) = (&agent.failure, agent.tokens) else {
                found.failed += 1;
                continue;
            };
            found.output = (found.output.0 + output, found.output.1 + u64::from(sent.tokens));
            found.shorter += usize::from(output < u64::from(sent.tokens));
            let prompt = agent.prompt_tokens.unwrap_or(0);
            found.prompt = (found.prompt.0 + prompt, found.prompt.1 + sent.prompt_tokens);
        }
        found
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |(is, was): (u64, u64)| 100.0 * is as f64 / was.max(1) as f64;
        let Fidelity { requests, on_time, latest, failed, output, shorter, prompt } = self;
        write!(
            text,
            "{on_time} of {requests} requests were sent within {:.0} ms of their time, the latest {:.0} ms late\n\
             outputs have {:.1} % of the recorded tokens ({shorter} ended earlier), and prompts {:.1} %",
            1e3 * LATENESS.as_secs_f64(),
            1e3 * latest,
            share(*output),
            share(*prompt)
        )?;
        match failed {
            0 => Ok(()),
            1 => write!(text, "; 1 request failed and is left out"),
            several => write!(text, "; {several} requests failed and are left out"),
        }
    }
}
