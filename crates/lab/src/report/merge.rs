//! Several recordings in one.

use std::collections::HashSet;

use super::Source;
use crate::{analysis::Recording, experiment::recording::Recorded};

/// Renumbers runs. If there are several recordings, it adds the name of each as a prefix to its conditions.
pub(super) fn merge(recorded: Vec<Recorded>) -> (Vec<Source>, Recording) {
    let several = recorded.len() > 1;
    let (mut sources, mut whole) = (Vec::new(), Recording::default());
    let (mut names, mut first_run) = (HashSet::new(), 0);
    for (one, number) in recorded.into_iter().zip(0..) {
        let (given, mut name) = (one.name.clone(), one.name);
        let mut again = 1;
        while !names.insert(name.clone()) {
            again += 1;
            name = format!("{} ({again})", name.split(" (").next().unwrap_or_default());
        }
        let mut recording = one.recording;
        if several {
            // The one condition of a recording without a plan has the recording's name already.
            let full = |condition: &str| {
                if condition == given { name.clone() } else { format!("{name}/{condition}") }
            };
            for condition in &mut recording.conditions {
                condition.name = full(&condition.name);
                condition.baseline = condition.baseline.as_deref().map(full);
                condition.series = condition.series.as_deref().map(full);
            }
            recording.runs.iter_mut().for_each(|run| run.condition = full(&run.condition));
        }
        recording.conditions.iter_mut().for_each(|condition| condition.recording = number);
        recording.runs.iter_mut().for_each(|run| run.id += first_run);
        recording.agents.iter_mut().for_each(|agent| agent.run += first_run);
        recording.chunks.iter_mut().for_each(|chunk| chunk.run += first_run);
        recording.lag.iter_mut().for_each(|sample| sample.run += first_run);
        first_run = recording.runs.iter().map(|run| run.id + 1).max().unwrap_or(first_run);
        whole.simulated |= recording.simulated;
        whole.conditions.extend(recording.conditions);
        whole.runs.extend(recording.runs);
        whole.agents.extend(recording.agents);
        whole.chunks.extend(recording.chunks);
        whole.lag.extend(recording.lag);
        whole.gpu.extend(recording.gpu);
        sources.push(Source {
            name,
            plan: one.plan.map(|plan| plan.name),
            environment: one.environment,
            problems: one.problems,
        });
    }
    (sources, whole)
}
