//! Recordings with a trap in them, and the sentence that leads around it.

mod block;
mod failure;
mod family;
mod relation;
mod simulated;
mod verdict;
mod window;

use serde_json::Value;
use streamgauge_lab::analysis::{
    Analysis, Condition, Language, Remedy, RunKind, Settings, statistic::Random,
};

use super::model::Draft;

const QUICK: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 99, seed: 117, window: 1.0, margin: 0.05 };
const NOISE: [f64; 6] = [-1.0, 0.5, 1.0, -0.5, 0.25, -0.25];

fn condition(name: &str, language: Language, remedies: &[Remedy], baseline: Option<&str>) -> Condition {
    Condition {
        name: name.into(),
        language,
        remedies: remedies.to_vec(),
        baseline: baseline.map(Into::into),
        ..Condition::default()
    }
}

/// A value that is normally distributed, by Box and Muller.
fn normal(random: &mut Random) -> f64 {
    let (one, two) = (1.0 - random.unit(), random.unit());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

/// Adds a run of two agents that take `wall` seconds together.
fn pair(draft: &mut Draft, name: &str, wall: f64) -> u32 {
    draft.run(name, RunKind::Together, &[("a", 500, wall), ("b", 500, 0.98 * wall)])
}

/// Adds a solo run of each of the two agents.
fn alone(draft: &mut Draft, name: &str, duration: f64) {
    for role in ["a", "b"] {
        draft.run(name, RunKind::Solo, &[(role, 500, duration)]);
    }
}

fn json(analysis: &Analysis) -> Value {
    serde_json::to_value(analysis).unwrap()
}

/// Factors that differ by some percent.
fn few(noise: &[f64]) -> impl Iterator<Item = f64> + '_ {
    noise.iter().map(|noise| 1.0 + 0.01 * noise)
}
