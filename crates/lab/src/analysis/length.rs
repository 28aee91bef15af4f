//! The lengths of prompts and outputs, in tokens.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::{Recording, Spread};

/// The lengths of the requests of one condition, in tokens, as Ollama counts them. Requests that failed and runs that warm
/// up are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Lengths {
    /// The condition.
    pub(crate) condition: String,
    /// Tokens of the prompts.
    pub(crate) prompt: Option<Spread>,
    /// Tokens of the outputs.
    pub(crate) output: Option<Spread>,
}

impl Lengths {
    /// Returns the lengths of each condition that has any, in the order of the runs.
    pub(super) fn all(recording: &Recording) -> Vec<Lengths> {
        let counted = recording.runs.iter().filter(|run| !run.warm_up);
        let conditions: HashMap<u32, &str> = counted.map(|run| (run.id, run.condition.as_str())).collect();
        let mut lengths: HashMap<&str, (Vec<f64>, Vec<f64>)> = HashMap::new();
        for agent in recording.agents.iter().filter(|agent| agent.failure.is_none()) {
            let Some(condition) = conditions.get(&agent.run) else { continue };
            let (prompts, outputs) = lengths.entry(condition).or_default();
            prompts.extend(agent.prompt_tokens.map(|tokens| tokens as f64));
            outputs.extend(agent.tokens.map(|tokens| tokens as f64));
        }
        let mut seen = HashSet::new();
        let order = recording.runs.iter().map(|run| run.condition.as_str()).filter(|name| seen.insert(*name));
        order
            .filter_map(|name| {
                let (mut prompts, mut outputs) = lengths.remove(name)?;
                let (prompt, output) = (Spread::of(&mut prompts), Spread::of(&mut outputs));
                (prompt.is_some() || output.is_some()).then(|| Lengths {
                    condition: name.into(),
                    prompt,
                    output,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Agent, Run};

    #[test]
    fn lengths_leave_out_failures_and_warm_up() {
        let run = |id, warm_up| Run { id, condition: "pair".into(), warm_up, ..Run::default() };
        let agent = |run, tokens, failure: Option<&str>| Agent {
            run,
            tokens: Some(tokens),
            prompt_tokens: Some(10 * tokens),
            failure: failure.map(Into::into),
            ..Agent::default()
        };
        let recording = Recording {
            runs: vec![run(0, true), run(1, false), run(2, false)],
            agents: vec![
                agent(0, 9999, None),
                agent(1, 1, None),
                agent(1, 5000, Some("reset")),
                agent(2, 2, None),
                agent(2, 3, None),
                agent(2, 10, None),
            ],
            ..Recording::default()
        };
        let [lengths] = &Lengths::all(&recording)[..] else { panic!() };
        let output = lengths.output.unwrap();
        // numpy.quantile([1, 2, 3, 10], [.5, .9, .99])
        assert_eq!((output.n, output.p50, output.max), (4, 2.5, 10.0));
        assert!((output.p90 - 7.9).abs() < 1e-9 && (output.p99 - 9.79).abs() < 1e-9, "{output:?}");
        assert_eq!(lengths.prompt.unwrap().p50, 25.0);
    }
}
