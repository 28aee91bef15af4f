//! The mistakes of a plan that its format does not exclude.

use std::collections::HashSet;

use super::{ConditionPlan, Plan, Role, load::MOST_REQUESTS};
use crate::analysis::Language;

/// With more agents at once, the client's own machine disturbs the measurement.
const MOST_AGENTS: usize = 4096;

/// Returns one sentence per mistake.
pub(super) fn mistakes(plan: &Plan) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut say = |mistake: String| mistakes.push(mistake);
    if plan.upstreams.is_empty() {
        say("there is no upstream: write [upstreams] and name = \"http://127.0.0.1:11434\"".into());
    }
    for (name, url) in &plan.upstreams {
        if !reqwest::Url::parse(url)
            .is_ok_and(|url| url.has_host() && ["http", "https"].contains(&url.scheme()))
        {
            say(format!("upstream {name:?} has no URL: write http://HOST:PORT"));
        }
    }
    if plan.repetitions == 0 {
        say("repetitions must be 1 or more. A p-value needs 4".into());
    }
    if !(plan.expected_rate.is_finite() && plan.expected_rate > 0.0) {
        say("expected_rate must be above 0, in tokens per second".into());
    }
    if plan.roles.is_empty() {
        say("there is no agent: write [[agent]] with name, model, prompt and tokens".into());
    }
    if plan.conditions.is_empty() {
        say("there is no condition: write [[condition]] with a name".into());
    }
    twice(plan.roles.iter().map(|role| role.name.as_str()), "agents", &mut say);
    twice(plan.conditions.iter().map(|condition| condition.name.as_str()), "conditions", &mut say);
    for role in &plan.roles {
        of_role(plan, role, &mut say);
    }
    for condition in &plan.conditions {
        of_condition(plan, condition, &mut say);
    }
    mistakes
}

fn twice<'a>(names: impl Iterator<Item = &'a str>, what: &str, say: &mut impl FnMut(String)) {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            say(format!("one of the {what} has an empty name"));
        } else if name.contains(char::is_control) {
            say(format!(
                "the name {name:?} of one of the {what} has a line break or another control character: remove it"
            ));
        } else if !seen.insert(name) {
            say(format!("two {what} are called {name:?}: give each a name of its own"));
        }
    }
}

fn of_role(plan: &Plan, role: &Role, say: &mut impl FnMut(String)) {
    let Role { name, upstream, model, tokens, prompt, prompt_sha256, options, .. } = role;
    if !plan.upstreams.is_empty() && !plan.upstreams.contains_key(upstream) {
        let known: Vec<&str> = plan.upstreams.keys().map(String::as_str).collect();
        say(format!("agent {name:?}: no upstream is called {upstream:?}; there are {}", known.join(", ")));
    }
    if model.is_empty() {
        say(format!("agent {name:?}: model is empty"));
    }
    if *tokens == 0 {
        say(format!("agent {name:?}: tokens must be 1 or more"));
    }
    if prompt.is_none() && prompt_sha256.is_none() {
        say(format!("agent {name:?}: prompt is missing"));
    }
    if options.contains_key("num_predict") {
        say(format!("agent {name:?}: `tokens` sets num_predict: remove num_predict from options"));
    }
    if options.values().any(has_date) {
        say(format!("agent {name:?}: options contain a date, which JSON cannot express"));
    }
}

fn has_date(value: &toml::Value) -> bool {
    match value {
        toml::Value::Datetime(_) => true,
        toml::Value::Array(values) => values.iter().any(has_date),
        toml::Value::Table(table) => table.values().any(has_date),
        _ => false,
    }
}

fn of_condition(plan: &Plan, condition: &ConditionPlan, say: &mut impl FnMut(String)) {
    let name = &condition.name;
    // The agents of a load take turns.
    let most = if condition.load.is_some() { MOST_REQUESTS as usize } else { MOST_AGENTS };
    if condition.team.is_empty() || condition.team.len() > most {
        say(format!("condition {name:?}: it has {} agents; 1 to {most} can run", condition.team.len()));
    }
    for agent in condition.distinct() {
        if plan.role(agent).is_none() {
            say(format!("condition {name:?}: no agent is called {agent:?}"));
        }
    }
    if let Some(baseline) = &condition.baseline {
        if baseline == name {
            say(format!("condition {name:?}: it cannot be its own baseline"));
        } else if plan.conditions.iter().all(|other| other.name != *baseline) {
            say(format!("condition {name:?}: its baseline {baseline:?} does not exist"));
        }
    }
    of_load(plan, condition, say);
    let python = condition.language == Language::Python;
    let set = [
        ("uvloop", condition.uvloop),
        ("orjson", condition.orjson),
        ("read_buffer", condition.read_buffer.is_some()),
    ];
    for (option, _) in set.iter().filter(|(_, set)| *set && !python) {
        say(format!("condition {name:?}: {option} is for Python agents: write language = \"python\""));
    }
    if condition.read_buffer == Some(0) {
        say(format!("condition {name:?}: read_buffer must be 1 or more, in bytes"));
    }
    if condition.pace.is_some() && condition.leaky_pace.is_some() {
        say(format!("condition {name:?}: pace and leaky_pace exclude each other: write one of them"));
    }
    let sidecar = condition.sidecar.as_ref();
    let rates = [
        ("pace", condition.pace),
        ("leaky_pace", condition.leaky_pace),
        ("sidecar.pace", sidecar.and_then(|sidecar| sidecar.pace).map(f64::from)),
    ];
    for (option, rate) in rates {
        if rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            say(format!("condition {name:?}: {option} must be above 0, in tokens per second"));
        }
    }
    let spans =
        [("batch", condition.batch), ("sidecar.coalesce", sidecar.and_then(|sidecar| sidecar.coalesce))];
    for (option, span) in spans {
        if span.is_some_and(|span| span.0.is_zero()) {
            say(format!("condition {name:?}: {option} must be a time above 0, as in \"50ms\""));
        }
    }
}

fn of_load(plan: &Plan, condition: &ConditionPlan, say: &mut impl FnMut(String)) {
    let name = &condition.name;
    if let Some(load) = &condition.load {
        for mistake in load.mistakes() {
            say(format!("condition {name:?}: {mistake}"));
        }
        if condition.language == Language::Python || condition.processes {
            say(format!(
                "condition {name:?}: a load is sent by one process in Rust: remove language and processes"
            ));
        }
        if condition.baseline.is_some() {
            say(format!("condition {name:?}: a load has no baseline: remove baseline"));
        }
    }
    let of_load =
        |other: &&ConditionPlan| other.load.is_some() && condition.baseline.as_ref() == Some(&other.name);
    if let Some(other) = plan.conditions.iter().find(of_load) {
        say(format!("condition {name:?}: its baseline {:?} is a load, which has no speedup", other.name));
    }
}
