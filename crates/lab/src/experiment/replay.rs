//! Replays live traffic: the same arrivals and lengths, sent to another Ollama.
//!
//! A recording has no prompt. Filler text takes its place: as many words as make the recorded number of tokens, which two
//! requests to the Ollama measure for each model. Each request has words of its own, so that no prompt is in a cache.

mod fidelity;
mod filler;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use fidelity::Fidelity;
pub use filler::Filler;

use super::plan::{ConditionPlan, LoadPlan, Plan, Role, Route, Span};
use crate::analysis::{Agent, Recording};

/// The most requests of a replay. Their prompts are in memory.
const MOST: usize = 10_000;
/// The labels of models whose name is not known.
const NAMELESS: [&str; 4] = ["", "unknown", "other", "none"];
/// The name of the Ollama in the plan.
const UPSTREAM: &str = "ollama";
/// The defaults of plans.
const SEED: u64 = 117;
const OUTSTANDING: u32 = 1024;
const LATENESS: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(600);
const EXPECTED_RATE: f64 = 50.0;

/// The requests of a recording that can be sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    requests: Vec<Sent>,
    /// The requests without a model or without the counts of their tokens, such as those that failed.
    pub left_out: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Sent {
    /// Seconds since the first request.
    at: f64,
    model: String,
    route: Route,
    prompt_tokens: u64,
    tokens: u32,
}

/// The reason why a recording cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is none of live traffic.
    #[error(
        "it has no live traffic: name the folder of a recording that a sidecar wrote, or `streamgauge record`"
    )]
    NoTraffic,
    /// Nothing happened while it was recorded.
    #[error("it has no request")]
    NoRequest,
    /// No request has a model and the counts of its tokens.
    #[error("none of its {0} requests has a model and the counts of its tokens")]
    NoLengths(usize),
    /// It is too long.
    #[error(
        "it has {0} requests, and {MOST} can be replayed: use a shorter recording, or one with a smaller sample_ratio"
    )]
    TooMany(usize),
}

impl Replayed {
    /// Returns the requests of live traffic. With `model`, all of them go to this model.
    ///
    /// # Errors
    /// There is nothing to replay, or too much.
    pub fn of(recording: &Recording, model: Option<&str>) -> Result<Replayed, ReplayError> {
        let served: Vec<&Agent> = recording.agents.iter().filter(|agent| agent.served.is_some()).collect();
        if served.is_empty() && recording.live {
            return Err(ReplayError::NoRequest);
        }
        if served.is_empty() {
            return Err(ReplayError::NoTraffic);
        }
        let mut requests: Vec<Sent> = served.iter().filter_map(|agent| sent(agent, model)).collect();
        let left_out = served.len() - requests.len();
        if requests.len() > MOST {
            return Err(ReplayError::TooMany(requests.len()));
        }
        requests.sort_by(|a, b| a.at.total_cmp(&b.at));
        let first = requests.first().ok_or(ReplayError::NoLengths(served.len()))?.at;
        requests.iter_mut().for_each(|request| request.at -= first);
        Ok(Replayed { requests, left_out })
    }

    /// Returns the models to which requests go.
    #[must_use]
    pub fn models(&self) -> BTreeSet<&str> {
        self.requests.iter().map(|request| request.model.as_str()).collect()
    }

    /// Returns the number of requests.
    #[must_use]
    pub fn count(&self) -> usize {
        self.requests.len()
    }

    /// Returns the plan: one run of an open-loop load with a list of times. `fillers` has the filler of each model.
    #[must_use]
    pub fn plan(&self, name: &str, url: &str, fillers: &BTreeMap<String, Filler>) -> Plan {
        let planned = |(number, request): (usize, &Sent)| {
            let filler = fillers.get(&request.model).copied().unwrap_or_default();
            Role {
                name: role(number),
                upstream: UPSTREAM.into(),
                model: request.model.clone(),
                route: request.route,
                tokens: request.tokens,
                prompt: Some(filler.prompt(request.prompt_tokens, number as u64)),
                prompt_sha256: None,
                options: toml::Table::new(),
            }
        };
        let roles: Vec<Role> = self.requests.iter().enumerate().map(planned).collect();
        let load = LoadPlan {
            times: Some(self.requests.iter().map(|request| request.at).collect()),
            outstanding: OUTSTANDING,
            lateness: Span(LATENESS),
            ..LoadPlan::default()
        };
        let condition = ConditionPlan {
            name: "replay".into(),
            team: roles.iter().map(|role| role.name.clone()).collect(),
            load: Some(load),
            ..ConditionPlan::default()
        };
        Plan {
            name: name.into(),
            seed: SEED,
            repetitions: 1,
            warm_up: 0,
            timeout: Span(TIMEOUT),
            pause: Span(Duration::ZERO),
            keep_text: false,
            expected_rate: EXPECTED_RATE,
            upstreams: BTreeMap::from([(UPSTREAM.to_owned(), url.to_owned())]),
            roles,
            conditions: vec![condition],
        }
    }
}

/// Returns the name of the agent that sends a request.
fn role(number: usize) -> String {
    format!("request-{number}")
}

fn sent(agent: &Agent, model: Option<&str>) -> Option<Sent> {
    let served = agent.served.as_deref()?;
    let model = model.unwrap_or(&agent.model);
    let tokens = u32::try_from(agent.tokens?).ok().filter(|tokens| *tokens > 0)?;
    (!NAMELESS.contains(&model)).then(|| Sent {
        at: agent.started,
        model: model.to_owned(),
        route: if ["generate", "openai_completions"].contains(&served.route.as_str()) {
            Route::Generate
        } else {
            Route::Chat
        },
        prompt_tokens: agent.prompt_tokens.unwrap_or(1),
        tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Served;

    fn agent(started: f64, model: &str, tokens: Option<u64>) -> Agent {
        Agent {
            model: model.into(),
            started,
            tokens,
            prompt_tokens: Some(100),
            served: Some(Box::new(Served { route: "chat".into(), ..Served::default() })),
            ..Agent::default()
        }
    }

    #[test]
    fn requests_keep_their_distances_and_those_without_lengths_are_left_out() {
        let agents = vec![
            agent(107.5, "b", Some(9)),
            agent(100.0, "a", Some(5)),
            agent(101.0, "a", None),
            agent(102.0, "other", Some(5)),
        ];
        let recording = Recording { agents, ..Recording::default() };
        let replayed = Replayed::of(&recording, None).unwrap();
        assert_eq!((replayed.count(), replayed.left_out), (2, 2));
        assert_eq!(replayed.models(), BTreeSet::from(["a", "b"]));
        let fillers = BTreeMap::from([("a".to_owned(), Filler::default())]);
        let plan = replayed.plan("again", "http://127.0.0.1:1", &fillers);
        let condition = &plan.conditions[0];
        assert_eq!(condition.load.as_ref().unwrap().times, Some(vec![0.0, 7.5]));
        let lengths: Vec<u32> = plan.roles.iter().map(|role| role.tokens).collect();
        assert_eq!((condition.team.len(), lengths), (2, vec![5, 9]));
        // The plan is one that a file could state.
        let read: Plan = plan.to_toml().parse().unwrap();
        assert_eq!(read, plan);
        // With a name, the requests to models without a known one count too.
        let named = Replayed::of(&recording, Some("c")).unwrap();
        assert_eq!((named.count(), named.left_out), (3, 1));
    }

    #[test]
    fn fidelity_tells_late_arrivals_and_other_lengths() {
        let agents = (0..4).map(|at| agent(f64::from(at), "a", Some(10))).collect();
        let replayed = Replayed::of(&Recording { agents, ..Recording::default() }, None).unwrap();
        let sent = |number: usize, late: f64, tokens: u64, failure: Option<&str>| Agent {
            role: role(number),
            scheduled: Some(number as f64),
            started: number as f64 + late,
            failure: failure.map(Into::into),
            prompt_tokens: Some(98),
            ..agent(0.0, "a", Some(tokens))
        };
        let agents = vec![
            sent(2, 0.2, 10, None),
            sent(0, 0.001, 10, None),
            sent(1, 0.0, 4, None),
            sent(3, 0.01, 2, Some("503")),
        ];
        let found = replayed.fidelity(&Recording { agents, ..Recording::default() });
        assert_eq!(
            found.to_string(),
            "3 of 4 requests were sent within 50 ms of their time, the latest 200 ms late\n\
             outputs have 80.0 % of the recorded tokens (1 ended earlier), and prompts 98.0 %; 1 request failed and is \
             left out"
        );
        // A request that was not sent at all is one that failed.
        assert_eq!(replayed.fidelity(&Recording::default()).failed, 4);
    }

    #[test]
    fn recording_without_traffic_or_lengths_is_not_replayed() {
        let of = |agents| Replayed::of(&Recording { agents, ..Recording::default() }, None).unwrap_err();
        assert_eq!(of(Vec::new()), ReplayError::NoTraffic);
        let empty = Recording { live: true, ..Recording::default() };
        assert_eq!(Replayed::of(&empty, None), Err(ReplayError::NoRequest));
        assert_eq!(of(vec![agent(0.0, "a", None)]), ReplayError::NoLengths(1));
        let many = (0..=MOST).map(|at| agent(at as f64, "a", Some(1))).collect();
        assert_eq!(of(many), ReplayError::TooMany(MOST + 1));
    }
}
