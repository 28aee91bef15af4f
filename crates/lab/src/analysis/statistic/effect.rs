//! The size of a difference relative to the noise.

use serde::Serialize;
use statrs::function::gamma::ln_gamma;

use super::{
    Interval,
    distribution::noncentral_t_cdf,
    sum::{centre, variance},
    undefined::{Undefined, demand_level},
};

/// Above this t, the size of an effect has no meaning, and its interval costs too much time.
const LARGEST_T: f64 = 500.0;

/// A standardised difference of two means, without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Effect {
    /// Hedges' g: the difference / pooled standard deviation, corrected for the bias of small samples.
    pub(crate) g: f64,
    /// The interval of the population's standardised difference, exact for normal values of equal variance. `None`:
    /// the difference is so large that its size has no meaning.
    pub(crate) interval: Option<Interval>,
    /// The pooled standard deviation, in the values' unit.
    pub(crate) deviation: f64,
}

/// Returns Hedges' g: Hedges, "Distribution theory for Glass's estimator of effect size", Journal of Educational
/// Statistics 6 (1981). The interval inverts noncentral t: Steiger and Fouladi, "Noncentrality interval estimation"
/// (1997).
///
/// # Errors
/// There are fewer than two values on a side, a value is not finite, or neither side varies.
pub(crate) fn hedges_g(first: &[f64], second: &[f64], level: f64) -> Result<Effect, Undefined> {
    demand_level(level)?;
    let (n1, n2) = (first.len() as f64, second.len() as f64);
    let (v1, v2) = (variance(first)?, variance(second)?);
    let df = n1 + n2 - 2.0;
    let deviation = (((n1 - 1.0) * v1 + (n2 - 1.0) * v2) / df).sqrt();
    if deviation == 0.0 {
        return Err(Undefined::Constant);
    }
    let scale = (n1.recip() + n2.recip()).sqrt();
    Ok(Effect::of(centre(first) - centre(second), deviation, df, scale, level))
}

impl Effect {
    /// Returns the effect of a difference with this standard error, between samples of these sizes. The deviation is that
    /// of values whose means would have the standard error, so it contains every variance that the standard error does.
    pub(crate) fn of_error(
        difference: f64,
        error: f64,
        df: f64,
        sizes: (usize, usize),
        level: f64,
    ) -> Option<Effect> {
        let scale = ((sizes.0 as f64).recip() + (sizes.1 as f64).recip()).sqrt();
        let sound = error > 0.0 && df > 0.0 && difference.is_finite() && demand_level(level).is_ok();
        sound.then(|| Effect::of(difference, error / scale, df, scale, level))
    }

    /// `scale` is the standard error of the difference / the deviation.
    fn of(difference: f64, deviation: f64, df: f64, scale: f64, level: f64) -> Effect {
        let d = difference / deviation;
        let unbias = (ln_gamma(0.5 * df) - 0.5 * (0.5 * df).ln() - ln_gamma(0.5 * (df - 1.0))).exp();
        let t = d / scale;
        let tail = 0.5 * (1.0 - level);
        let interval = (t.abs() <= LARGEST_T).then(|| Interval {
            low: scale * shift_with(t, df, 1.0 - tail),
            high: scale * shift_with(t, df, tail),
            level,
        });
        // With one degree of freedom the correction does not exist (Γ(0)): g would be 0 × d, which has no meaning.
        Effect { g: if df > 1.0 { unbias * d } else { d }, interval, deviation }
    }
}

/// Returns the noncentrality under which `t` is exceeded with probability 1 − `p`.
fn shift_with(t: f64, df: f64, p: f64) -> f64 {
    // The spread of t around its shift grows with the shift.
    let mut reach = 4.0 + t.abs() / df.sqrt();
    let excess = |shift: f64| noncentral_t_cdf(t, df, shift) - p;
    let (mut low, mut high) = (t - reach, t + reach);
    while excess(low) < 0.0 {
        reach *= 2.0;
        low -= reach;
    }
    while excess(high) > 0.0 {
        reach *= 2.0;
        high += reach;
    }
    root(low, high, excess)
}

/// Returns the root of a decreasing function between `low` and `high`, to the last digits: false position with the
/// Illinois step (Dowell and Jarratt, BIT 11, 1971).
pub(super) fn root(mut low: f64, mut high: f64, falling: impl Fn(f64) -> f64) -> f64 {
    let (mut at_low, mut at_high) = (falling(low), falling(high));
    for _ in 0..200 {
        if at_low == 0.0 || (high - low).abs() <= 4.0 * f64::EPSILON * low.abs().max(high.abs()) {
            return low;
        }
        if at_high == 0.0 {
            return high;
        }
        let place = (low * at_high - high * at_low) / (at_high - at_low);
        // If rounding puts it outside, or the function is flat, the interval is halved.
        let place = if place > low && place < high { place } else { 0.5 * (low + high) };
        if place == low || place == high {
            return place;
        }
        let value = falling(place);
        if value > 0.0 {
            (low, at_low) = (place, value);
            at_high *= 0.5;
        } else if value < 0.0 {
            (high, at_high) = (place, value);
            at_low *= 0.5;
        } else {
            return place;
        }
    }
    0.5 * (low + high)
}
