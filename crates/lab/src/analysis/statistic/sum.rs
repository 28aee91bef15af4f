//! Sums without rounding losses.

use super::undefined::{Undefined, demand};

/// Returns the compensated sum: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
/// ZAMM 54 (1974). The error is that of one rounding, whatever the number of values.
#[must_use]
pub(crate) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = 0.0_f64;
    let mut lost = 0.0;
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    // The compensation of an infinite sum would make it NaN.
    if sum.is_finite() { sum + lost } else { sum }
}

/// Returns the variance with divisor n − 1, in the square of the values' unit, by two passes.
///
/// # Errors
/// There are fewer than two values, or a value is not finite.
pub(crate) fn variance(values: &[f64]) -> Result<f64, Undefined> {
    demand(values, 2)?;
    let centre = centre(values);
    Ok(sum_of_squares(values, centre) / (values.len() - 1) as f64)
}

/// Returns the mean of values that exist and are finite.
pub(crate) fn centre(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len() as f64
}

/// Returns the sum of the squared distances from `centre`. Constant input gives exactly 0, because the mean of equal
/// numbers may differ from them by a rounding error.
pub(super) fn sum_of_squares(values: &[f64], centre: f64) -> f64 {
    if is_constant(values) { 0.0 } else { sum(values.iter().map(|value| (value - centre).powi(2))) }
}

pub(super) fn is_constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_keeps_small_values_between_large_ones() {
        assert_eq!(sum([1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum([f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(sum([]), 0.0);
    }

    #[test]
    fn variance_of_constant_values_is_exactly_zero() {
        assert_eq!(variance(&[0.1; 10]), Ok(0.0));
        assert_eq!(variance(&[1.0]), Err(Undefined::TooFew { have: 1, need: 2 }));
        assert_eq!(variance(&[1.0, f64::NAN]), Err(Undefined::NotFinite { at: 1 }));
    }
}
