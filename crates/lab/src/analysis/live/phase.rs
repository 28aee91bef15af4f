//! The parts of the duration of requests.

use serde::Serialize;

use super::super::{Agent, Served, Spread};

/// One part of the duration, over the requests in which it is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Phase {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its seconds.
    pub(crate) seconds: Spread,
    /// Its sum divided by the summed duration of the requests.
    pub(crate) share: f64,
}

/// Returns the seconds of a part of a request.
type Part = fn(&Agent, &Served) -> Option<f64>;

/// The parts, in the order in which they pass. The last one overlaps others.
const PARTS: [(&str, Part); 6] = [
    ("queue", |_, served| Some(served.queue.unwrap_or(0.0))),
    ("hidden queue", |_, served| served.hidden_queue),
    ("load", |agent, _| agent.load_duration),
    ("prompt evaluation", |agent, _| agent.prompt_eval_duration),
    ("generation", |agent, _| Some(agent.duration - agent.first_token?)),
    ("client behind", |_, served| served.client_wait),
];

impl Phase {
    pub(super) fn all(agents: &[&Agent]) -> Vec<Phase> {
        let done = || agents.iter().filter(|agent| agent.failure.is_none());
        let whole: f64 = done().map(|agent| agent.duration).sum();
        let of = |(name, part): (&'static str, Part)| {
            let mut values: Vec<f64> =
                done().filter_map(|agent| part(agent, agent.served.as_deref()?)).collect();
            let sum: f64 = values.iter().sum();
            let seconds = Spread::of(&mut values)?;
            Some(Phase { name, seconds, share: if whole > 0.0 { sum / whole } else { 0.0 } })
        };
        PARTS.into_iter().filter_map(of).collect()
    }
}
