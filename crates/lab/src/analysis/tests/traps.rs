//! Recordings that mislead a simple analysis.

mod block;
mod failure;
mod family;
mod relation;
mod simulated;
mod verdict;
mod window;

use crate::analysis::{Analysis, RunKind, Settings, statistic::Random};
use serde_json::Value;

use super::model::{Draft, NOISE, condition};

const QUICK: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 99, seed: 117, window: 1.0, margin: 0.05 };

/// Returns a value with a standard normal distribution, by Box and Muller.
pub(super) fn normal(random: &mut Random) -> f64 {
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

/// Returns a factor near 1 for each of `noise`, which is in percent.
fn few(noise: &[f64]) -> impl Iterator<Item = f64> + '_ {
    noise.iter().map(|noise| 1.0 + 0.01 * noise)
}
