//! Measures whether running together is faster than running one after the other.
//!
//! There are two measures. The **overlap speedup**, as in TR117, is the sum of the durations together, divided by the
//! wall time. It shows how evenly the durations match, and lies between 1 and the number of agents whatever the
//! contention is. The **true speedup** compares the wall time with the durations of the same agents alone.

use serde::Serialize;

use super::statistic::{Interval, Undefined, centre, satterthwaite, sum, t_quantile, variance};

/// The overlap speedup of one run (TR117, 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct OverlapSpeedup {
    /// Sum of the durations / wall time.
    pub speedup: f64,
    /// Speedup / number of agents.
    pub(crate) efficiency: f64,
    /// The contention flag of TR117: an efficiency below 0.75 (for two agents: a speedup below 1.5).
    pub(crate) contention: bool,
}

/// The true speedup: how much faster running together is than running one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrueSpeedup {
    /// Sum of the mean durations alone / mean wall time together.
    pub speedup: f64,
    /// Speedup / number of agents.
    pub(crate) efficiency: f64,
    /// The interval of the speedup. `None`: one of the values was measured only once.
    pub interval: Option<Interval>,
    /// The interval of the efficiency.
    pub(crate) efficiency_interval: Option<Interval>,
    /// The standard error of the speedup's logarithm, which is its relative error.
    pub(crate) relative_error: Option<f64>,
    /// Degrees of freedom of that error.
    pub(crate) df: Option<f64>,
}

/// The agents of one role: their durations alone, in one unit, and the number of them that ran together. They share
/// one baseline, so its error counts for each of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alone<'a> {
    /// Durations of that role's solo runs.
    pub(crate) durations: &'a [f64],
    /// The number of agents of the role that run together.
    pub(crate) agents: usize,
}

impl TrueSpeedup {
    /// Returns it with intervals that state this level.
    #[must_use]
    pub(crate) fn stating(self, level: f64) -> TrueSpeedup {
        let state = |interval: Interval| Interval { level, ..interval };
        TrueSpeedup {
            interval: self.interval.map(state),
            efficiency_interval: self.efficiency_interval.map(state),
            ..self
        }
    }

    /// `error` is the relative error of the speedup with its degrees of freedom.
    fn with(speedup: f64, agents: usize, error: Option<(f64, f64)>, level: f64) -> TrueSpeedup {
        let agents = agents as f64;
        let interval = error.map(|(error, df)| {
            let margin = if error > 0.0 { t_quantile(0.5 + 0.5 * level, df) * error } else { 0.0 };
            Interval::around(speedup.ln(), margin, level).map(f64::exp)
        });
        TrueSpeedup {
            speedup,
            efficiency: speedup / agents,
            interval,
            efficiency_interval: interval.map(|interval| interval.map(|speedup| speedup / agents)),
            relative_error: error.map(|(error, _)| error),
            df: error.map(|(_, df)| df).filter(|df| df.is_finite()),
        }
    }
}

/// Returns the overlap speedup of durations and the wall time, all in one unit. `None`: there are no durations, or
/// the wall time is not above 0.
#[must_use]
pub(crate) fn overlap_speedup(durations: &[f64], wall: f64) -> Option<OverlapSpeedup> {
    let total = sum(durations.iter().copied());
    if durations.is_empty() || wall <= 0.0 || !total.is_finite() || !wall.is_finite() {
        return None;
    }
    let speedup = total / wall;
    let efficiency = speedup / durations.len() as f64;
    Some(OverlapSpeedup { speedup, efficiency, contention: efficiency < 0.75 })
}

/// Returns the true speedup from the baselines of each role and the wall times together, all in one unit.
///
/// The interval is Student's on the logarithm: the squared relative errors of the two means add up (the delta method;
/// Casella and Berger, "Statistical Inference", 5.5.4), with degrees of freedom by Satterthwaite (Biometrics Bulletin
/// 2, 1946). With a single wall time it carries the uncertainty of the baselines alone.
///
/// # Errors
/// There is no role, a role or a wall time was never measured, or a value is not finite or not above 0.
pub(crate) fn true_speedup(
    alone: &[Alone<'_>],
    together: &[f64],
    level: f64,
) -> Result<TrueSpeedup, Undefined> {
    if alone.is_empty() {
        return Err(Undefined::TooFew { have: 0, need: 1 });
    }
    for values in alone.iter().map(|role| role.durations).chain([together]) {
        if values.is_empty() {
            return Err(Undefined::TooFew { have: 0, need: 1 });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Undefined::NotFinite { at });
        }
        if values.iter().any(|value| *value <= 0.0) {
            return Err(Undefined::OutOfRange("a duration"));
        }
    }
    let one_after_the_other = sum(alone.iter().map(|role| role.agents as f64 * centre(role.durations)));
    let wall = centre(together);
    // The squared standard errors of the means, relative to their sum.
    let part = |values: &[f64], share: f64| {
        let n = values.len() as f64;
        variance(values).ok().map(|variance| (variance / n * share * share, n - 1.0))
    };
    let by_role = |role: &Alone<'_>| part(role.durations, role.agents as f64 / one_after_the_other);
    let mut parts: Option<Vec<_>> = alone.iter().map(by_role).collect();
    if let Some(parts) = &mut parts {
        parts.extend(part(together, wall.recip()));
    }
    let agents = alone.iter().map(|role| role.agents).sum();
    let error = parts.map(|parts| (sum(parts.iter().map(|(part, _)| *part)).sqrt(), satterthwaite(&parts)));
    Ok(TrueSpeedup::with(one_after_the_other / wall, agents, error, level))
}

/// Returns the true speedup from pairs: the summed durations alone and the wall time together of each repetition.
///
/// A cause that slows a repetition down affects both of its times, so their errors are not independent. The interval is
/// that of the ratio of two means by linearization (Cochran, "Sampling Techniques", 6.4), on the logarithm.
///
/// # Errors
/// There are fewer than two pairs, the sides differ in length, or a value is not finite or not above 0.
pub(crate) fn paired_speedup(
    alone: &[f64],
    together: &[f64],
    agents: usize,
    level: f64,
) -> Result<TrueSpeedup, Undefined> {
    if alone.len() != together.len() {
        return Err(Undefined::Unpaired { left: alone.len(), right: together.len() });
    }
    if alone.iter().chain(together).any(|value| !(value.is_finite() && *value > 0.0)) {
        return Err(Undefined::OutOfRange("a duration"));
    }
    let n = alone.len() as f64;
    let (mean_alone, mean_together) = (centre(alone), centre(together));
    let errors: Vec<f64> = alone
        .iter()
        .zip(together)
        .map(|(alone, together)| alone / mean_alone - together / mean_together)
        .collect();
    let error = ((variance(&errors)? / n).sqrt(), n - 1.0);
    Ok(TrueSpeedup::with(mean_alone / mean_together, agents, Some(error), level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(durations: &[f64]) -> Alone<'_> {
        Alone { durations, agents: 1 }
    }

    #[test]
    fn overlap_speedup_measures_evenness_and_not_gain() {
        // The two ran one after the other, and the overlap speedup is still 1.5, because the second one only waited.
        let overlap = overlap_speedup(&[10.0, 20.0], 20.0).unwrap();
        assert_eq!((overlap.speedup, overlap.efficiency, overlap.contention), (1.5, 0.75, false));
        let truth = true_speedup(&[alone(&[10.0]), alone(&[10.0])], &[20.0], 0.95).unwrap();
        assert_eq!((truth.speedup, truth.efficiency, truth.interval), (1.0, 0.5, None));
        assert_eq!(overlap_speedup(&[], 1.0), None);
        assert_eq!(overlap_speedup(&[1.0], 0.0), None);
    }

    #[test]
    fn true_speedup_interval_is_widened_by_both_uncertainties() {
        let (noisy, still) = ([9.0, 10.0, 11.0], [10.0, 10.0, 10.0]);
        let error = |alone: &[Alone<'_>], together: &[f64]| {
            true_speedup(alone, together, 0.95).unwrap().relative_error.unwrap()
        };
        let by_baseline = error(&[alone(&noisy), alone(&still)], &still);
        let by_both = error(&[alone(&noisy), alone(&noisy)], &noisy);
        assert_eq!(error(&[alone(&still), alone(&still)], &still), 0.0);
        assert!(0.0 < by_baseline && by_baseline < by_both, "{by_baseline} {by_both}");
    }

    #[test]
    fn true_speedup_of_agents_with_shared_baseline_shares_its_error() {
        let (noisy, still) = ([9.0, 10.0, 11.0], [10.0, 10.0, 10.0]);
        let error = |alone: &[Alone<'_>]| true_speedup(alone, &still, 0.95).unwrap().relative_error.unwrap();
        let shared = error(&[Alone { durations: &noisy, agents: 2 }]);
        let apart = error(&[alone(&noisy), alone(&noisy)]);
        assert!((shared / apart - f64::sqrt(2.0)).abs() < 1e-12, "{shared} {apart}");
    }

    #[test]
    fn speedup_needs_durations_above_zero() {
        let of = |durations, together| true_speedup(&[alone(durations)], together, 0.95);
        assert_eq!(of(&[1.0, 0.0], &[1.0]), Err(Undefined::OutOfRange("a duration")));
        assert_eq!(of(&[], &[1.0]), Err(Undefined::TooFew { have: 0, need: 1 }));
        assert_eq!(of(&[1.0], &[f64::NAN]), Err(Undefined::NotFinite { at: 0 }));
    }
}
