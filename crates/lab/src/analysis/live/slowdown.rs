//! The time that streams lost while others ran.
//!
//! Between two chunks, a stream loses the time that is longer than its tokens take when it decodes alone. The loss is
//! divided equally among the other requests that evaluated their prompt or generated at the same Ollama in the middle of
//! that time. This is a way to account for the loss, not a proof of its cause.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    super::{Agent, Recording},
    key::Key,
};

/// The name of the streams that were not recorded.
pub(super) const UNKNOWN: &str = "(not recorded)";

/// The time that the streams of one role lost while those of another ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Slowdown {
    /// The condition.
    pub(crate) condition: String,
    /// The Ollama.
    pub(crate) upstream: String,
    /// The role that lost the time: a model, or a caller if callers were recorded.
    pub(crate) slowed: String,
    /// The role whose requests ran at that time.
    pub(crate) by: String,
    /// The lost time, in seconds.
    pub(crate) seconds: f64,
    /// The lost time divided by the time in which the streams that lost it generated.
    pub(crate) share: f64,
}

/// The loss between two chunks.
struct Loss {
    /// The middle of the time between them.
    at: f64,
    seconds: f64,
    /// The other streams that decoded, by the sidecar's count.
    others: u32,
    role: usize,
}

/// The requests at one Ollama.
#[derive(Default)]
struct Occupancy<'a> {
    roles: Vec<&'a str>,
    /// A request of a role begins (+1) or ends (−1) to make the GPU work.
    changes: Vec<(f64, i64, usize)>,
    losses: Vec<Loss>,
    /// The time in which the streams of each role generated.
    generated: Vec<f64>,
}

impl<'a> Occupancy<'a> {
    fn role(&mut self, name: &'a str) -> usize {
        self.roles.iter().position(|role| *role == name).unwrap_or_else(|| {
            self.roles.push(name);
            self.generated.push(0.0);
            self.roles.len() - 1
        })
    }
}

/// Returns the slowdowns, the largest first. `alone` returns the rate of a stream that decodes alone, and the tokens of one
/// of its records.
pub(super) fn slowdowns<'a>(
    recording: &'a Recording,
    places: &HashMap<(u32, u32), (Key<'a>, &'a Agent)>,
    alone: impl Fn(u32, u32) -> Option<(f64, f64)>,
) -> Vec<Slowdown> {
    let mut by_place: BTreeMap<(&str, &str), Occupancy<'a>> = BTreeMap::new();
    for ((condition, upstream, _), agent) in places.values() {
        let Some((from, until)) = works(agent) else { continue };
        let place = by_place.entry((condition, upstream)).or_default();
        let role = place.role(&agent.role);
        place.changes.extend([(from, 1, role), (until, -1, role)]);
    }
    let mut before: HashMap<(u32, u32), u32> = HashMap::new();
    for chunk in &recording.chunks {
        let Some(((condition, upstream, _), agent)) = places.get(&(chunk.run, chunk.agent)) else { continue };
        let earlier = before.insert((chunk.run, chunk.agent), chunk.streams).unwrap_or(0);
        let Some((rate, scale)) = alone(chunk.run, chunk.agent) else { continue };
        let Some(place) = by_place.get_mut(&(*condition, *upstream)).filter(|_| chunk.gap >= 0.0) else {
            continue;
        };
        let role = place.role(&agent.role);
        place.generated[role] += chunk.gap;
        place.losses.push(Loss {
            at: chunk.at - 0.5 * chunk.gap,
            seconds: chunk.gap - f64::from(chunk.records) * scale / rate,
            others: earlier.max(chunk.streams).saturating_sub(1),
            role,
        });
    }
    let mut found: Vec<Slowdown> = by_place
        .into_iter()
        .flat_map(|((condition, upstream), place)| of_place(condition, upstream, place))
        .collect();
    found.sort_by(|a, b| {
        b.seconds.total_cmp(&a.seconds).then_with(|| (&a.slowed, &a.by).cmp(&(&b.slowed, &b.by)))
    });
    found
}

/// Returns when a request made the GPU work: from the evaluation of its prompt, as far as Ollama reported it, to its end.
fn works(agent: &Agent) -> Option<(f64, f64)> {
    let end = agent.started + agent.duration;
    let prompt = agent.prompt_eval_duration.unwrap_or(0.0);
    let first = match (agent.first_token, agent.eval_duration) {
        (Some(first), _) => agent.started + first,
        // A response that is no stream.
        (None, Some(eval)) => end - eval,
        (None, None) => return None,
    };
    Some(((first - prompt).max(agent.started), end))
}

fn of_place(condition: &str, upstream: &str, mut place: Occupancy<'_>) -> Vec<Slowdown> {
    place.changes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    place.losses.sort_unstable_by(|a, b| a.at.total_cmp(&b.at));
    let roles = place.roles.len();
    let mut running = vec![0_i64; roles];
    // The last column is that of streams that were not recorded.
    let mut lost = vec![vec![0.0; roles + 1]; roles];
    let mut changes = place.changes.iter().peekable();
    for loss in &place.losses {
        while let Some((_, by, role)) = changes.next_if(|change| change.0 <= loss.at) {
            running[*role] += by;
        }
        let others = |role: usize| (running[role] - i64::from(role == loss.role)).max(0) as f64;
        let recorded: f64 = (0..roles).map(others).sum();
        let all = recorded.max(f64::from(loss.others));
        if all == 0.0 {
            continue;
        }
        for (role, lost) in lost[loss.role][..roles].iter_mut().enumerate() {
            *lost += loss.seconds * others(role) / all;
        }
        lost[loss.role][roles] += loss.seconds * (all - recorded) / all;
    }
    let mut found = Vec::new();
    for (slowed, row) in lost.iter().enumerate() {
        for (by, seconds) in row.iter().enumerate().filter(|(_, seconds)| **seconds != 0.0) {
            found.push(Slowdown {
                condition: condition.to_owned(),
                upstream: upstream.to_owned(),
                slowed: place.roles[slowed].to_owned(),
                by: place.roles.get(by).map_or(UNKNOWN, |role| *role).to_owned(),
                seconds: *seconds,
                share: seconds / place.generated[slowed],
            });
        }
    }
    found
}
