//! Correlation of two measurements.

use serde::Serialize;

use super::{
    Interval,
    distribution::{normal_quantile, t_two_sided},
    rank::ranks,
    sum::{centre, is_constant, sum},
    undefined::{Undefined, demand, demand_level},
};

/// A correlation coefficient, without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Correlation {
    /// From −1 to 1.
    pub(crate) r: f64,
    /// The number of pairs.
    pub(crate) n: usize,
    /// The interval by Fisher's z. `None`: there are fewer than four pairs.
    pub(crate) interval: Option<Interval>,
    /// The probability of an `r` at least as far from 0, in either direction, if there were no correlation. `None`
    /// for two pairs, which always lie on a line.
    pub(crate) p: Option<f64>,
}

/// Returns Pearson's r within groups, which uses the distances of values from the mean of their group. Differences
/// between groups therefore have no effect. It is the partial correlation with the group as a factor, with
/// n − 1 − groups degrees of freedom. Its interval follows Fisher, "On the probable error of a coefficient of
/// correlation", Metron 1 (1921).
///
/// # Errors
/// No group has two pairs, the sides of a group differ in length, a value is not finite, or a side does not vary within
/// groups.
pub(crate) fn pearson_within(groups: &[(Vec<f64>, Vec<f64>)], level: f64) -> Result<Correlation, Undefined> {
    within(groups, level, <[f64]>::to_vec, |_| 1.0)
}

/// Returns Spearman's ρ within groups: [`pearson_within`] of the ranks within each group, where ties share their rank.
/// The interval uses the wider error of ranks: Bonett and Wright, "Sample size requirements for estimating Pearson,
/// Kendall and Spearman correlations", Psychometrika 65 (2000).
///
/// # Errors
/// As for [`pearson_within`].
pub(crate) fn spearman_within(groups: &[(Vec<f64>, Vec<f64>)], level: f64) -> Result<Correlation, Undefined> {
    within(groups, level, ranks, |r| 1.0 + 0.5 * r * r)
}

fn within(
    groups: &[(Vec<f64>, Vec<f64>)],
    level: f64,
    score: impl Fn(&[f64]) -> Vec<f64>,
    spread: impl Fn(f64) -> f64,
) -> Result<Correlation, Undefined> {
    demand_level(level)?;
    let (mut lefts, mut rights, mut counted) = (Vec::new(), Vec::new(), 0);
    for (left, right) in groups {
        if left.len() != right.len() {
            return Err(Undefined::Unpaired { left: left.len(), right: right.len() });
        }
        // A single pair has no distance from its own mean.
        if left.len() < 2 {
            continue;
        }
        demand(left, 2)?;
        demand(right, 2)?;
        lefts.extend(from_centre(&score(left)));
        rights.extend(from_centre(&score(right)));
        counted += 1;
    }
    let r = coefficient(&lefts, &rights)?;
    Ok(judged(r, lefts.len(), lefts.len() + 1 - counted, level, spread(r)))
}

/// Returns Pearson's r of each column with each: symmetric, with 1 on the diagonal. `None`: a column does not vary,
/// or the two have fewer than two rows in which both values are finite. A row without one of the values is left out
/// for that pair.
#[must_use]
pub(crate) fn correlation_matrix(columns: &[Vec<f64>]) -> Vec<Vec<Option<f64>>> {
    let entry = |left: &[f64], right: &[f64]| {
        let (left, right): (Vec<f64>, Vec<f64>) =
            left.iter().zip(right).filter(|(a, b)| a.is_finite() && b.is_finite()).unzip();
        coefficient(&left, &right).ok()
    };
    columns.iter().map(|left| columns.iter().map(|right| entry(left, right)).collect()).collect()
}

fn coefficient(left: &[f64], right: &[f64]) -> Result<f64, Undefined> {
    if left.len() != right.len() {
        return Err(Undefined::Unpaired { left: left.len(), right: right.len() });
    }
    demand(left, 2)?;
    demand(right, 2)?;
    if is_constant(left) || is_constant(right) {
        return Err(Undefined::Constant);
    }
    let (left, right) = (from_centre(left), from_centre(right));
    let product = |a: &[f64], b: &[f64]| sum(a.iter().zip(b).map(|(a, b)| a * b));
    let r = product(&left, &right) / (product(&left, &left).sqrt() * product(&right, &right).sqrt());
    Ok(r.clamp(-1.0, 1.0))
}

/// Returns the distances from the mean. They are exactly 0 if the values do not vary.
pub(crate) fn from_centre(values: &[f64]) -> Vec<f64> {
    let centre = if is_constant(values) { values[0] } else { centre(values) };
    values.iter().map(|value| value - centre).collect()
}

/// `free` is the number of pairs, less the groups beyond the first.
fn judged(r: f64, n: usize, free: usize, level: f64, spread: f64) -> Correlation {
    let df = free as f64 - 2.0;
    let p = (free > 2).then(|| t_two_sided(r * (df / ((1.0 + r) * (1.0 - r))).sqrt(), df));
    let interval = (free > 3).then(|| {
        let margin = normal_quantile(0.5 + 0.5 * level) * (spread / (free as f64 - 3.0)).sqrt();
        Interval::around(r.atanh(), margin, level).map(f64::tanh)
    });
    Correlation { r, n, interval, p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_matrix_leaves_out_incomplete_rows_and_constant_columns() {
        let matrix = correlation_matrix(&[
            vec![1.0, 2.0, f64::NAN, 4.0],
            vec![2.0, 4.0, 5.0, 8.0],
            vec![7.0, 7.0, 7.0, 7.0],
        ]);
        assert!(matrix[0][1].is_some_and(|r| r > 1.0 - 1e-15));
        assert_eq!(matrix[1][0], matrix[0][1]);
        assert_eq!(matrix[0][2], None);
    }
}
