//! The properties that the requests of a group share.

use std::collections::HashMap;

use super::super::Agent;

/// A condition, an Ollama and a model.
pub(super) type Key<'a> = (&'a str, &'a str, &'a str);

/// Returns the group of a request. `None`: it is one of an experiment. `conditions` are those of the runs.
pub(super) fn key<'a>(agent: &'a Agent, conditions: &HashMap<u32, &'a str>) -> Option<Key<'a>> {
    let served = agent.served.as_deref()?;
    Some((conditions.get(&agent.run)?, &served.upstream, &agent.model))
}
