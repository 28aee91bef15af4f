//! Live traffic: what the requests of clients tell about the Ollamas that answered them.
//!
//! Nobody chose how many streams ran at once, so a rate is calculated for each number of streams that occurred. Streams
//! that run at the same time share their disturbances. Intervals therefore compare blocks of time, not streams.

mod curve;
mod key;
mod phase;
mod slowdown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

#[cfg(feature = "experiment")]
use super::statistic::Peak;
use super::{
    Agent, Recording, Settings,
    statistic::{Scaling, fit_scaling},
};
pub(crate) use curve::Level;
use curve::RateCurve;
use key::{Key, key};
pub(crate) use phase::Phase;
pub(crate) use slowdown::Slowdown;

/// The live traffic of a recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Live {
    /// The requests, by condition, Ollama and model.
    pub(crate) groups: Vec<Group>,
    /// The time that streams lost while others ran.
    pub(crate) slowdowns: Vec<Slowdown>,
}

/// The requests to one model of one Ollama.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Group {
    /// The condition, which names the recording if there are several.
    pub(crate) condition: String,
    /// The Ollama.
    pub(crate) upstream: String,
    /// The model.
    pub(crate) model: String,
    /// The requests that ended.
    pub(crate) requests: usize,
    /// The requests that failed, those of clients that left included.
    pub(crate) failed: usize,
    /// Their rates, by the number of streams that decoded at the Ollama, in ascending order.
    pub(crate) levels: Vec<Level>,
    /// The Universal Scalability Law fitted to the rate of all streams, if enough numbers of streams occurred.
    pub(crate) scaling: Option<Scaling>,
    /// The parts of the duration of the requests that did not fail.
    pub(crate) phases: Vec<Phase>,
}

impl Live {
    /// Summarises the requests of live traffic. Requests of experiments are left out.
    pub(super) fn of(recording: &Recording, settings: &Settings) -> Live {
        let conditions: HashMap<u32, &str> =
            recording.runs.iter().map(|run| (run.id, run.condition.as_str())).collect();
        let mut by_key: BTreeMap<Key<'_>, Vec<&Agent>> = BTreeMap::new();
        let mut places: HashMap<(u32, u32), (Key<'_>, &Agent)> = HashMap::new();
        for agent in &recording.agents {
            let Some(key) = key(agent, &conditions) else { continue };
            by_key.entry(key).or_default().push(agent);
            places.insert((agent.run, agent.agent), (key, agent));
        }
        if by_key.is_empty() {
            return Live::default();
        }
        let scales = scales(recording, &places);
        let curves = RateCurve::all(recording, |run, agent| {
            let (key, _) = *places.get(&(run, agent))?;
            Some((key, scales.get(&(run, agent)).copied().unwrap_or(1.0)))
        });
        let mut groups = Vec::new();
        let mut alone: HashMap<Key<'_>, f64> = HashMap::new();
        for (key, agents) in by_key {
            let curve = curves.get(&key);
            let levels = curve.map(|curve| curve.levels(settings.level)).unwrap_or_default();
            alone.extend(curve.and_then(RateCurve::alone).map(|rate| (key, rate)));
            let scaling = curve.and_then(|curve| {
                let (streams, rates) = curve.points();
                fit_scaling(&streams, &rates, settings.level).ok()
            });
            let (condition, upstream, model) = key;
            groups.push(Group {
                condition: condition.to_owned(),
                upstream: upstream.to_owned(),
                model: model.to_owned(),
                requests: agents.len(),
                failed: agents.iter().filter(|agent| agent.failure.is_some()).count(),
                levels,
                scaling,
                phases: Phase::all(&agents),
            });
        }
        let slowdowns = slowdown::slowdowns(recording, &places, |run, agent| {
            let (key, _) = places.get(&(run, agent))?;
            Some((*alone.get(key)?, scales.get(&(run, agent)).copied().unwrap_or(1.0)))
        });
        Live { groups, slowdowns }
    }
}

#[cfg(feature = "experiment")]
impl Group {
    /// Returns the peak of the law, if the data show that there is one and it is within the numbers of streams that
    /// occurred.
    pub(crate) fn peak(&self) -> Option<Peak> {
        let most = self.levels.last()?.streams;
        let peak = self.scaling?.peak?;
        (peak.seen && peak.streams <= f64::from(most)).then_some(peak)
    }
}

/// Returns the tokens per record of each stream: records are counted when they arrive, and tokens by Ollama at the end.
fn scales(
    recording: &Recording,
    places: &HashMap<(u32, u32), (Key<'_>, &Agent)>,
) -> HashMap<(u32, u32), f64> {
    let mut records: HashMap<(u32, u32), u64> = HashMap::new();
    for chunk in &recording.chunks {
        *records.entry((chunk.run, chunk.agent)).or_default() += u64::from(chunk.records);
    }
    let scale = |(place, records): ((u32, u32), u64)| {
        let tokens = places.get(&place)?.1.tokens?;
        (records > 0 && tokens > 0).then(|| (place, tokens as f64 / records as f64))
    };
    records.into_iter().filter_map(scale).collect()
}
