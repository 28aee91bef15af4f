//! A recording of a million chunks: five conditions of ten repetitions, two agents each.

use streamgauge_lab::analysis::{
    Agent, Chunk, Condition, LagSample, Language, Probe, Recording, Run, RunKind, statistic::Random,
};

const CONDITIONS: u32 = 5;
const REPETITIONS: u32 = 10;
const CHUNKS_OF_AN_AGENT: u32 = 5_000;

/// Each repetition has one run together and two solo runs: 4 agents with 5,000 chunks each.
pub(crate) fn recording() -> Recording {
    let mut random = Random::new(7);
    let mut recording = Recording::default();
    for condition in 0..CONDITIONS {
        let name = format!("condition {condition}");
        let baseline = (condition > 0).then(|| "condition 0".to_owned());
        let language = Language::Python;
        recording.conditions.push(Condition {
            name: name.clone(),
            baseline,
            language,
            ..Condition::default()
        });
        for _ in 0..REPETITIONS {
            for roles in [&["a", "b"][..], &["a"], &["b"]] {
                let id = recording.runs.len() as u32;
                let kind = if roles.len() == 1 { RunKind::Solo } else { RunKind::Together };
                recording.runs.push(Run { id, condition: name.clone(), kind, ..Run::default() });
                let gap = 0.01 * roles.len() as f64;
                for (agent, role) in roles.iter().enumerate() {
                    let agent = agent as u32;
                    let mut at = 0.0;
                    for _ in 0..CHUNKS_OF_AN_AGENT {
                        let gap = gap * (0.5 + random.unit());
                        at += gap;
                        let (bytes, parse) = (100 + random.below(10), 2e-5 * random.unit());
                        recording.chunks.push(Chunk {
                            run: id,
                            agent,
                            at,
                            bytes,
                            records: 1,
                            gap,
                            parse,
                            streams: 0,
                        });
                    }
                    recording.agents.push(Agent {
                        run: id,
                        agent,
                        role: (*role).into(),
                        duration: at,
                        first_token: Some(gap),
                        tokens: Some(u64::from(CHUNKS_OF_AN_AGENT)),
                        ..Agent::default()
                    });
                }
                for place in 0..1_000 {
                    let (at, lag) = (0.1 * f64::from(place), 0.005 * random.unit());
                    recording.lag.push(LagSample { run: id, process: 0, probe: Probe::Schedule, at, lag });
                }
            }
        }
    }
    recording
}
