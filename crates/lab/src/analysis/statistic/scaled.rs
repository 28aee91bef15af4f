//! The interval of a value in multiples of a unit that was measured with an error of its own.

use super::{Interval, distribution::t_quantile, welch::satterthwaite};

/// The steps between 0 and π that find the neighbourhood of an end, and the steps that narrow it down.
const STEPS: (u32, u32) = (64, 30);

/// The error of a measured unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct UnitError {
    /// The standard error of the logarithm of the unit, which is its relative error.
    pub(crate) relative: f64,
    /// The degrees of freedom of that error.
    pub(crate) df: f64,
}

/// Returns the interval of a mean or a difference, in multiples of a unit whose error is independent of that of `value`.
/// `error` is the standard error of `value` with its degrees of freedom, as if the unit were exact.
///
/// By the delta method, the squared error of the product is that of `value` plus that of the unit, with degrees of freedom by
/// Satterthwaite. The interval has the width of Student's interval of that error, as the range of the product over an ellipse:
/// one half axis is Student's margin of `value` alone, and the other one, on the logarithm of the unit, is what is missing (in
/// the manner of Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008).
/// A wrong unit changes the size of a value and never its sign. So the interval contains 0 if and only if Student's interval
/// of `value` does, which a symmetrical interval would not.
pub(crate) fn scaled_interval(
    value: f64,
    (error, df): (f64, f64),
    unit: Option<UnitError>,
    level: f64,
) -> Interval {
    let margin =
        |error: f64, df: f64| if error > 0.0 { t_quantile(0.5 + 0.5 * level, df) * error } else { 0.0 };
    let of_value = margin(error, df);
    let by_unit = |unit: UnitError| {
        let parts = [(error.powi(2), df), ((value * unit.relative).powi(2), unit.df)];
        let all = margin((parts[0].0 + parts[1].0).sqrt(), satterthwaite(&parts));
        // More degrees of freedom may leave nothing to add.
        (all.powi(2) - of_value.powi(2)).max(0.0).sqrt() / value.abs()
    };
    match unit.filter(|_| value != 0.0).map_or(0.0, by_unit) {
        0.0 => Interval::around(value, of_value, level),
        of_unit => {
            Interval { low: -upper(-value, of_value, of_unit), high: upper(value, of_value, of_unit), level }
        }
    }
}

/// Returns the largest product on the ellipse: first by steps, and then by the golden section beside the best step.
fn upper(value: f64, margin: f64, of_unit: f64) -> f64 {
    let product = |angle: f64| (value + margin * angle.sin()) * (of_unit * angle.cos()).exp();
    let step = std::f64::consts::PI / f64::from(STEPS.0);
    let at = |place: u32| product(step * f64::from(place));
    let best = (0..=STEPS.0).max_by(|a, b| at(*a).total_cmp(&at(*b))).unwrap_or_default();
    let (mut low, mut high) = (step * (f64::from(best) - 1.0), step * (f64::from(best) + 1.0));
    let section = 0.5 * (5.0_f64.sqrt() - 1.0);
    for _ in 0..STEPS.1 {
        let (left, right) = (high - section * (high - low), low + section * (high - low));
        if product(left) < product(right) { low = left } else { high = right }
    }
    product(f64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: UnitError = UnitError { relative: 0.05, df: 4.0 };

    #[test]
    fn interval_with_an_exact_unit_or_an_exact_value_is_that_of_the_other_alone() {
        let exact = scaled_interval(3.0, (0.2, 7.0), None, 0.95);
        assert_eq!(exact, Interval::around(3.0, t_quantile(0.975, 7.0) * 0.2, 0.95));
        let of_unit = scaled_interval(3.0, (0.0, f64::INFINITY), Some(UNIT), 0.95);
        let factor = (t_quantile(0.975, 4.0) * 0.05).exp();
        assert!((of_unit.low * factor - 3.0).abs() < 1e-9 && (of_unit.high / factor - 3.0).abs() < 1e-9);
    }

    #[test]
    fn interval_with_both_errors_is_that_of_the_delta_method_if_they_are_small() {
        for value in [2.0, -2.0] {
            let unit = UnitError { relative: 1e-4, df: 4.0 };
            let found = scaled_interval(value, (1e-4, 7.0), Some(unit), 0.95);
            let df = satterthwaite(&[(1e-8, 7.0), (4e-8, 4.0)]);
            let margin = t_quantile(0.975, df) * 5e-8_f64.sqrt();
            assert!(((found.high - value) / margin - 1.0).abs() < 1e-3, "{found:?} {margin}");
            assert!(((value - found.low) / margin - 1.0).abs() < 1e-3, "{found:?} {margin}");
        }
    }

    #[test]
    fn error_of_the_unit_never_decides_whether_the_interval_contains_zero() {
        for relative in [0.01, 0.3, 2.0] {
            for value in [-0.5, -0.41, -0.1, 0.0, 0.1, 0.41, 0.5] {
                let unit = UnitError { relative, df: 1.0 };
                let plain = scaled_interval(value, (0.2, 60.0), None, 0.95);
                let both = scaled_interval(value, (0.2, 60.0), Some(unit), 0.95);
                assert_eq!(plain.contains(0.0), both.contains(0.0), "{value} {relative} {both:?}");
                assert!(both.low.is_finite() && both.high.is_finite(), "{both:?}");
            }
        }
    }
}
