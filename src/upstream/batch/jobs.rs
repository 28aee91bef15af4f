//! Three Ollamas and 200 requests for them.

/// The time to load a model, in seconds.
pub(super) const LOAD: f64 = 10.0;
pub(super) const MODELS: [&str; 3] = ["a:latest", "b:latest", "c:latest"];

/// One Ollama.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) slots: usize,
    pub(super) tokens_per_second: f64,
}

pub(super) const MACHINES: [Machine; 3] = [
    Machine { slots: 8, tokens_per_second: 80.0 },
    Machine { slots: 4, tokens_per_second: 40.0 },
    Machine { slots: 2, tokens_per_second: 20.0 },
];

/// A request: its arrival in seconds, its model, and the tokens of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) arrival: f64,
    pub(super) model: usize,
    pub(super) tokens: f64,
}

/// A random number generator.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `below`.
    pub(super) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// 200 requests that arrive within `seconds`, with answers of 20 to 200 tokens. Half of them are for the first model.
pub(super) fn jobs(seed: u64, seconds: usize) -> Vec<Job> {
    let mut random = Random(seed);
    let each = (0..200).map(|_| Job {
        arrival: if seconds == 0 { 0.0 } else { random.below(1_000 * seconds) as f64 / 1e3 },
        model: [0, 0, 0, 0, 0, 1, 1, 1, 2, 2][random.below(10)],
        tokens: (20 + random.below(181)) as f64,
    });
    let mut jobs: Vec<_> = each.collect();
    jobs.sort_by(|one, other| one.arrival.total_cmp(&other.arrival));
    jobs
}
