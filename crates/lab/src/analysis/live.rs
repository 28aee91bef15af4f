//! Live traffic: what the requests of clients tell about the Ollamas that answered them.
//!
//! Nobody chose how many streams ran at once, so a rate is calculated for each number of streams that occurred. Streams
//! that run at the same time share their disturbances. Intervals therefore compare blocks of time, not streams.

#[cfg(feature = "experiment")]
mod contrast;
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
#[cfg(feature = "experiment")]
pub(crate) use contrast::Contrast;
pub(crate) use curve::Level;
use curve::RateCurve;
use key::{Key, key};
pub(crate) use phase::Phase;
pub(crate) use slowdown::Slowdown;
use slowdown::UNKNOWN;

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
    /// Whether Ollama counted the tokens of at least half of the streams. If not, the rates count records.
    pub(crate) counted: bool,
    /// The time and the tokens by block.
    #[serde(skip)]
    curve: RateCurve,
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
        let scales = Scales::of(recording, &places);
        let curves = RateCurve::all(recording, |run, agent| {
            let (key, _) = *places.get(&(run, agent))?;
            Some((key, scales.of_stream((run, agent), &key)))
        });
        let mut groups = Vec::new();
        let mut alone: HashMap<Key<'_>, f64> = HashMap::new();
        for (key, agents) in by_key {
            let curve = curves.get(&key);
            let counted = agents.iter().filter(|agent| agent.tokens.is_some()).count();
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
                counted: 2 * counted >= agents.len(),
                curve: curve.cloned().unwrap_or_default(),
            });
        }
        let slowdowns = slowdown::slowdowns(recording, &places, |run, agent| {
            let (key, _) = places.get(&(run, agent))?;
            Some((*alone.get(key)?, scales.of_stream((run, agent), key)))
        });
        Live { groups, slowdowns }
    }
}

impl Live {
    /// Returns what a reader has to know about the losses.
    pub(super) fn notes(&self) -> Option<String> {
        let unknown: f64 =
            self.slowdowns.iter().filter(|found| found.by == UNKNOWN).map(|found| found.seconds).sum();
        (unknown > 0.0).then(|| {
            format!(
                "{unknown:.1} s of the lost time fell beside streams that were not recorded, because they began before the \
                 recording, ended after it, or were left out by sample_ratio. To record all of them, set `sample_ratio = 1` \
                 in [recording], or start `record` without --sample-ratio"
            )
        })
    }
}

#[cfg(feature = "experiment")]
impl Live {
    /// Whether this is the condition of live traffic.
    pub(super) fn has(&self, condition: &str) -> bool {
        self.groups.iter().any(|group| group.condition == condition)
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

/// The tokens per record: records are counted when they arrive, and tokens by Ollama at the end.
struct Scales<'a> {
    streams: HashMap<(u32, u32), f64>,
    groups: HashMap<Key<'a>, f64>,
}

impl<'a> Scales<'a> {
    fn of(recording: &Recording, places: &HashMap<(u32, u32), (Key<'a>, &Agent)>) -> Scales<'a> {
        let mut records: HashMap<(u32, u32), (u64, u64)> = HashMap::new();
        for chunk in &recording.chunks {
            let (chunks, records) = records.entry((chunk.run, chunk.agent)).or_default();
            *chunks += 1;
            *records += u64::from(chunk.records);
        }
        let (mut streams, mut sums) = (HashMap::new(), HashMap::<Key<'a>, (u64, u64)>::new());
        for (place, (chunks, records)) in records {
            let Some((key, agent)) = places.get(&place) else { continue };
            // Without its last chunks, a stream has more tokens than records.
            let is_whole =
                agent.served.as_deref().is_none_or(|served| served.chunks.is_none_or(|all| all <= chunks));
            let Some(tokens) = agent.tokens.filter(|tokens| *tokens > 0 && records > 0 && is_whole) else {
                continue;
            };
            streams.insert(place, tokens as f64 / records as f64);
            let sum = sums.entry(*key).or_default();
            *sum = (sum.0 + tokens, sum.1 + records);
        }
        let groups = sums.into_iter().map(|(key, (tokens, records))| (key, tokens as f64 / records as f64));
        Scales { streams, groups: groups.collect() }
    }

    /// Returns that of a stream, or else that of all streams of its group. If no stream has one, a record is a token.
    fn of_stream(&self, stream: (u32, u32), key: &Key<'a>) -> f64 {
        self.streams.get(&stream).or_else(|| self.groups.get(key)).copied().unwrap_or(1.0)
    }
}
