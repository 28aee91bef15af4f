//! Regression: one measurement as a weighted sum of others.

use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::{
    Interval,
    distribution::{f_upper, t_quantile, t_two_sided},
    factors::Factors,
    residual::Residuals,
    sum::{centre, is_constant, sum, sum_of_squares},
    undefined::{Undefined, demand, demand_level},
};

/// A fit by ordinary least squares, with a constant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Regression {
    /// The constant, followed by one coefficient per column. Unit: that of the outcome / that of the column.
    pub(crate) coefficients: Vec<Coefficient>,
    /// The share of the outcome's variance that the columns explain.
    pub(crate) r_squared: f64,
    /// The share, corrected for the number of columns.
    pub(crate) adjusted_r_squared: f64,
    /// F of all columns together.
    pub(crate) f: f64,
    /// The probability of an F at least as large if no column had an effect.
    pub(crate) f_p: f64,
    /// The number of rows.
    pub(crate) n: usize,
    /// Rows − coefficients.
    pub(crate) df: usize,
    /// The standard deviation of the residuals, with divisor `df`, in the outcome's unit.
    pub(crate) residual_deviation: f64,
    /// Whether the residuals meet the assumptions of the standard errors.
    pub(crate) residuals: Residuals,
}

/// One coefficient of a [`Regression`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Coefficient {
    /// The coefficient.
    pub(crate) value: f64,
    /// Its standard error.
    pub(crate) standard_error: f64,
    /// Value / standard error.
    pub(crate) t: f64,
    /// The probability of a `t` at least as far from 0, if the coefficient were 0.
    pub(crate) p: f64,
    /// The interval of the coefficient.
    pub(crate) interval: Interval,
}

/// Fits `outcome` to a constant and `columns`, each as long as `outcome`, by Householder QR: Golub and Van Loan,
/// "Matrix Computations", 5.3. The statistics follow Greene, "Econometric Analysis", 4.
///
/// # Errors
/// There are fewer rows than columns plus two, lengths differ, a value is not finite, the outcome does not vary, or
/// columns depend on each other or do not vary.
pub(crate) fn least_squares(
    columns: &[&[f64]],
    outcome: &[f64],
    level: f64,
) -> Result<Regression, Undefined> {
    demand_level(level)?;
    let n = outcome.len();
    let width = columns.len() + 1;
    demand(outcome, width + 1)?;
    for column in columns {
        if column.len() != n {
            return Err(Undefined::Unpaired { left: n, right: column.len() });
        }
        demand(column, width + 1)?;
    }
    if is_constant(outcome) {
        return Err(Undefined::Constant);
    }
    let design = design(columns, n);
    let factors = Factors::of(design)?;
    let solution = factors.solve(&DVector::from_column_slice(outcome));
    let residuals: Vec<f64> =
        factors.design.row_iter().zip(outcome).map(|(row, y)| y - (row * &solution)[(0, 0)]).collect();
    let squares = sum(residuals.iter().map(|residual| residual * residual));
    let df = n - width;
    let total = sum_of_squares(outcome, centre(outcome));
    let r_squared = 1.0 - squares / total;
    let variance = squares / df as f64;
    let margin = t_quantile(0.5 + 0.5 * level, df as f64);
    let coefficients = (0..width)
        .map(|place| {
            let value = solution[place];
            let standard_error = (variance * factors.inverse_squares(place)).sqrt();
            let t = value / standard_error;
            let interval = Interval::around(value, margin * standard_error, level);
            Coefficient { value, standard_error, t, p: t_two_sided(t, df as f64), interval }
        })
        .collect();
    let explaining = (width - 1) as f64;
    let f = (total - squares) / explaining / variance;
    Ok(Regression {
        coefficients,
        r_squared,
        adjusted_r_squared: 1.0 - (1.0 - r_squared) * (n - 1) as f64 / df as f64,
        f,
        f_p: f_upper(f, explaining, df as f64),
        n,
        df,
        residual_deviation: variance.sqrt(),
        residuals: Residuals::of(&residuals, &factors, variance),
    })
}

/// Returns a column of ones, followed by the columns.
fn design(columns: &[&[f64]], n: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, columns.len() + 1, |row, place| place.checked_sub(1).map_or(1.0, |c| columns[c][row]))
}

/// Returns how many times larger the variance of each column's coefficient is than if the columns were unrelated: 1 /
/// (1 − R²) of that column on the others. Above some 5 to 10 the columns cannot be separated (Marquardt,
/// Technometrics 12, 1970).
///
/// # Errors
/// There are fewer than two columns; otherwise as for [`least_squares`].
pub(crate) fn variance_inflation(columns: &[&[f64]]) -> Result<Vec<f64>, Undefined> {
    if columns.len() < 2 {
        return Err(Undefined::TooFew { have: columns.len(), need: 2 });
    }
    (0..columns.len())
        .map(|place| {
            let others = [&columns[..place], &columns[place + 1..]].concat();
            least_squares(&others, columns[place], 0.95).map(|fit| (1.0 - fit.r_squared).recip())
        })
        .collect()
}
