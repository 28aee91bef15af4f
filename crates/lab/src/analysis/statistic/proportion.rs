//! A share of trials, and its interval.

use serde::Serialize;
use statrs::function::beta::beta_reg;

use super::{
    Interval,
    undefined::{Undefined, demand_level},
};

/// If more further trials than this are needed, no number is suggested.
const MOST_TRIALS: usize = 1 << 24;

/// A share of trials that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Proportion {
    /// The share.
    pub(crate) value: f64,
    /// The trials that succeeded.
    pub(crate) successes: usize,
    /// All trials.
    pub(crate) trials: usize,
    /// The exact interval of Clopper and Pearson.
    pub(crate) interval: Interval,
}

/// Returns a share with its exact interval: Clopper and Pearson, "The use of confidence or fiducial limits illustrated
/// in the case of the binomial", Biometrika 26 (1934). It contains the true share with at least the probability `level`,
/// if the trials are independent.
///
/// # Errors
/// There is no trial, more succeeded than there are, or the level is not between 0 and 1.
pub(crate) fn proportion(successes: usize, trials: usize, level: f64) -> Result<Proportion, Undefined> {
    demand_level(level)?;
    if trials == 0 {
        return Err(Undefined::TooFew { have: 0, need: 1 });
    }
    if successes > trials {
        return Err(Undefined::OutOfRange("the number of successes"));
    }
    let tail = 0.5 - 0.5 * level;
    let (yes, no) = (successes as f64, (trials - successes) as f64);
    let low = if successes == 0 { 0.0 } else { beta_quantile(tail, yes, no + 1.0) };
    // The upper end is that of the failures from the other side, where its digits are.
    let high = if successes == trials { 1.0 } else { 1.0 - beta_quantile(tail, no, yes + 1.0) };
    Ok(Proportion { value: yes / trials as f64, successes, trials, interval: Interval { low, high, level } })
}

/// Returns the smallest number of further trials that, if all succeed, brings the exact interval above `share`. `found` are
/// the successes and the trials until now. `None`: no number does.
pub(crate) fn more_to_exceed(found: (usize, usize), share: f64, level: f64) -> Option<usize> {
    if !(share > 0.0 && share < 1.0) {
        return None;
    }
    let exceeds = |more: usize| {
        let all = proportion(found.0 + more, found.1 + more, level);
        all.is_ok_and(|all| all.interval.low > share)
    };
    if exceeds(0) {
        return Some(0);
    }
    let mut high = 1;
    while !exceeds(high) {
        high = (high < MOST_TRIALS).then(|| 2 * high)?;
    }
    let mut low = high / 2;
    while low + 1 < high {
        let middle = low.midpoint(high);
        if exceeds(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// Returns the `x` below which a beta distribution with these parameters stays with probability `p`, by bisection down to
/// neighbouring numbers.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        // Small quantiles need digits of their own.
        let middle: f64 = if low == 0.0 && high > 1e-300 { 0.25 * high } else { f64::midpoint(low, high) };
        if middle <= low || middle >= high {
            return middle;
        }
        if beta_reg(a, b, middle) < p { low = middle } else { high = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_further_trials_is_the_smallest_whose_interval_is_above_the_share() {
        for (share, needed) in [(0.99, 368), (0.95, 72), (0.9, 36), (0.5, 6)] {
            assert_eq!(more_to_exceed((0, 0), share, 0.95), Some(needed));
            let low = |trials| proportion(trials, trials, 0.95).unwrap().interval.low;
            assert!(low(needed) > share && low(needed - 1) <= share, "{share}");
        }
        // The failures so far require further requests.
        for (found, share, needed) in [((95, 100), 0.95, 130), ((30, 40), 0.9, 140), ((368, 400), 0.9, 46)] {
            let more = more_to_exceed(found, share, 0.95).unwrap();
            assert_eq!(more, needed);
            let low = |more| proportion(found.0 + more, found.1 + more, 0.95).unwrap().interval.low;
            assert!(low(more) > share && low(more - 1) <= share, "{found:?}: {more}");
        }
        assert_eq!(more_to_exceed((99, 100), 0.5, 0.95), Some(0));
        assert_eq!((more_to_exceed((0, 0), 1.0, 0.95), more_to_exceed((0, 0), 0.0, 0.95)), (None, None));
    }

    #[test]
    fn exact_interval_covers_planted_shares_at_least_as_often_as_stated() {
        for (trials, share) in [(10, 0.9), (40, 0.99), (60, 0.5), (200, 0.9)] {
            let mut term = (1.0_f64 - share).powi(trials);
            let mut covered = 0.0;
            for successes in 0..=trials {
                let found = proportion(successes as usize, trials as usize, 0.95).unwrap();
                covered += if found.interval.contains(share) { term } else { 0.0 };
                term *= f64::from(trials - successes) / f64::from(successes + 1) * share / (1.0 - share);
            }
            assert!((0.95..=1.0 + 1e-9).contains(&covered), "{trials} trials, {share}: {covered}");
        }
    }
}
