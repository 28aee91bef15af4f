//! The simulator's law of contention as a pure function, and experiments drawn from it.
//!
//! If n streams decode, each has a token every `(1 + contention * (n - 1)) / rate` seconds, with uniform jitter. The
//! first token comes at once.

use crate::analysis::{
    Agent, Chunk, Condition, Language, Recording, Remedy, Run, RunKind, statistic::Random,
};

/// Noise whose sum is zero.
pub(crate) const NOISE: [f64; 6] = [-1.0, 0.5, 1.0, -0.5, 0.25, -0.25];

pub(crate) fn condition(
    name: &str,
    language: Language,
    remedies: &[Remedy],
    baseline: Option<&str>,
) -> Condition {
    Condition {
        name: name.into(),
        language,
        remedies: remedies.to_vec(),
        baseline: baseline.map(Into::into),
        ..Condition::default()
    }
}

/// The options of `streamgauge simulate`.
#[derive(Clone, Copy)]
pub(crate) struct Law {
    pub(crate) rate: f64,
    pub(crate) contention: f64,
    pub(crate) jitter: f64,
}

impl Law {
    /// Returns the seconds from the common start to the end of each stream.
    pub(crate) fn durations(&self, tokens: &[u32], random: &mut Random) -> Vec<f64> {
        let mut due = vec![0.0_f64; tokens.len()];
        let mut left = tokens.to_vec();
        let mut durations = vec![f64::NAN; tokens.len()];
        let mut decoding = tokens.len();
        while decoding > 0 {
            let running = (0..tokens.len()).filter(|stream| durations[*stream].is_nan());
            let next = running.min_by(|a, b| due[*a].total_cmp(&due[*b])).unwrap();
            if left[next] == 0 {
                durations[next] = due[next];
                decoding -= 1;
                continue;
            }
            left[next] -= 1;
            let jitter = 1.0 + self.jitter * (2.0 * random.unit() - 1.0);
            due[next] += (1.0 + self.contention * (decoding - 1) as f64) / self.rate * jitter;
        }
        durations
    }

    /// Returns the seconds until the last of the streams ends.
    pub(crate) fn wall(&self, tokens: &[u32], random: &mut Random) -> f64 {
        self.durations(tokens, random).into_iter().fold(0.0, f64::max)
    }

    /// Returns the mean seconds that a stream takes alone.
    pub(crate) fn alone(&self, tokens: u32) -> f64 {
        f64::from(tokens) / self.rate
    }
}

/// A recording to which runs are added.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) recording: Recording,
}

impl Draft {
    pub(crate) fn condition(&mut self, condition: Condition) {
        self.recording.conditions.push(condition);
    }

    /// Adds a run whose agents have these roles, tokens and durations. Returns its number.
    pub(crate) fn run(&mut self, condition: &str, kind: RunKind, agents: &[(&str, u32, f64)]) -> u32 {
        let id = self.recording.runs.len() as u32;
        let started = 100.0 * f64::from(id);
        self.recording.runs.push(Run { id, condition: condition.into(), kind, started, ..Run::default() });
        for (agent, (role, tokens, duration)) in agents.iter().enumerate() {
            self.recording.agents.push(Agent {
                run: id,
                agent: agent as u32,
                role: (*role).into(),
                started,
                duration: *duration,
                tokens: Some(u64::from(*tokens)),
                ..Agent::default()
            });
        }
        id
    }

    /// Adds chunks of a run's first agent, `gap` seconds apart.
    pub(crate) fn chunks(&mut self, run: u32, began: f64, gap: f64, count: u32) {
        self.recording.chunks.extend((0..count).map(|place| {
            let at = began + gap * f64::from(place);
            Chunk { run, agent: 0, at, bytes: 1, records: 1, gap, parse: 1e-5, streams: 0 }
        }));
    }

    /// Adds another recording. `name` comes before the names of its conditions.
    pub(crate) fn append(&mut self, name: &str, other: Draft) {
        let number =
            self.recording.conditions.iter().map(|condition| condition.recording).max().unwrap_or(0) + 1;
        let first = self.recording.runs.len() as u32;
        let full = |condition: &str| format!("{name}/{condition}");
        self.recording.conditions.extend(other.recording.conditions.into_iter().map(|mut condition| {
            condition.recording = number;
            condition.name = full(&condition.name);
            condition.baseline = condition.baseline.as_deref().map(full);
            condition
        }));
        self.recording.runs.extend(other.recording.runs.into_iter().map(|mut run| {
            (run.id, run.condition) = (run.id + first, full(&run.condition));
            run
        }));
        self.recording.agents.extend(other.recording.agents.into_iter().map(|mut agent| {
            agent.run += first;
            agent
        }));
    }

    /// Adds runs of agents `a`, `b`, … with these numbers of tokens, and, if `solo`, as many solo runs of each.
    pub(crate) fn simulate(
        &mut self,
        condition: &str,
        law: Law,
        tokens: &[u32],
        runs: usize,
        solo: bool,
        random: &mut Random,
    ) {
        let roles = ["a", "b", "c", "d"];
        for _ in 0..runs {
            let durations = law.durations(tokens, random);
            let agents: Vec<_> =
                (0..tokens.len()).map(|place| (roles[place], tokens[place], durations[place])).collect();
            self.run(condition, RunKind::Together, &agents);
            for (place, tokens) in tokens.iter().enumerate().filter(|_| solo) {
                let duration = law.durations(&[*tokens], random)[0];
                self.run(condition, RunKind::Solo, &[(roles[place], *tokens, duration)]);
            }
        }
    }
}
