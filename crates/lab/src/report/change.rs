//! What differs between the environments of recordings, so that a reader knows what a comparison compares.

use std::collections::BTreeSet;

use super::Source;
use crate::experiment::recording::Environment;

/// Returns a sentence for each part of the environment that differs from that of the first recording.
pub(super) fn changes(sources: &[Source]) -> Vec<String> {
    let [first, later @ ..] = sources else { return Vec::new() };
    let mut changes = Vec::new();
    for other in later {
        let (Some(was), Some(is)) = (&first.environment, &other.environment) else {
            changes.push(format!(
                "{} or {} has no environment.json, so what else differs is unknown",
                first.name, other.name
            ));
            continue;
        };
        for (part, of) in PARTS {
            let (was, is) = (of(was), of(is));
            if was != is {
                changes.push(format!(
                    "{part}: {} in {}, {} in {}",
                    said(&was),
                    first.name,
                    said(&is),
                    other.name
                ));
            }
        }
    }
    changes
}

type EnvironmentPart = (&'static str, fn(&Environment) -> String);

const PARTS: [EnvironmentPart; 6] = [
    ("machine", |environment| {
        let machine = &environment.machine;
        let cpu = machine.cpu.as_deref().unwrap_or(&machine.architecture);
        format!("{cpu} with {} cores, {}", machine.cores, machine.system)
    }),
    ("GPU", |environment| {
        listed(environment.gpus.iter().map(|gpu| format!("{} with driver {}", gpu.name, gpu.driver)))
    }),
    ("Ollama", |environment| {
        listed(environment.upstreams.values().filter_map(|found| found.version.clone()))
    }),
    ("models", |environment| {
        let models = environment.upstreams.values().flat_map(|upstream| &upstream.models);
        listed(models.map(|(name, digest)| format!("{name} ({})", digest.get(..12).unwrap_or(digest))))
    }),
    ("Python", |environment| {
        listed(environment.python.iter().map(|(package, version)| format!("{package} {version}")))
    }),
    ("streamgauge", |environment| environment.streamgauge.clone()),
];

fn listed(values: impl Iterator<Item = String>) -> String {
    let values: BTreeSet<String> = values.collect();
    values.into_iter().collect::<Vec<_>>().join(", ")
}

fn said(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}
