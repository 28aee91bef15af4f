//! Regression: one measurement as a weighted sum of others.

use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::{
    Interval,
    distribution::{f_upper, t_quantile, t_two_sided},
    residual::Residuals,
    sum::{centre, is_constant, sum, sum_of_squares},
    undefined::{Undefined, demand, demand_level},
};

/// A fit by ordinary least squares, with a constant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Regression {
    /// The constant, followed by one coefficient per column. Unit: that of the outcome / that of the column.
    pub coefficients: Vec<Coefficient>,
    /// The share of the outcome's variance that the columns explain.
    pub r_squared: f64,
    /// The share, corrected for the number of columns.
    pub adjusted_r_squared: f64,
    /// F of all columns together.
    pub f: f64,
    /// The probability of an F at least as large if no column had an effect.
    pub f_p: f64,
    /// The number of rows.
    pub n: usize,
    /// Rows − coefficients.
    pub df: usize,
    /// The standard deviation of the residuals, with divisor `df`, in the outcome's unit.
    pub residual_deviation: f64,
    /// Whether the residuals meet the assumptions of the standard errors.
    pub residuals: Residuals,
}

/// One coefficient of a [`Regression`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coefficient {
    /// The coefficient.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Value / standard error.
    pub t: f64,
    /// The probability of a `t` at least as far from 0, if the coefficient were 0.
    pub p: f64,
    /// The interval of the coefficient.
    pub interval: Interval,
}

/// Fits `outcome` to a constant and `columns`, each as long as `outcome`, by Householder QR: Golub and Van Loan,
/// "Matrix Computations", 5.3. The statistics follow Greene, "Econometric Analysis", 4.
///
/// # Errors
/// There are fewer rows than columns plus two, lengths differ, a value is not finite, the outcome does not vary, or
/// columns depend on each other or do not vary.
pub fn least_squares(columns: &[&[f64]], outcome: &[f64], level: f64) -> Result<Regression, Undefined> {
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

/// The QR decomposition of a matrix with more rows than columns.
pub(super) struct Factors {
    pub(super) design: DMatrix<f64>,
    pub(super) q: DMatrix<f64>,
    upper: DMatrix<f64>,
    inverse: DMatrix<f64>,
}

impl Factors {
    /// Columns may differ in magnitude because of their units, but must not depend on each other.
    pub(super) fn of(design: DMatrix<f64>) -> Result<Factors, Undefined> {
        let (q, upper) = design.clone().qr().unpack();
        // Compares the part of a column that the other columns do not explain with the whole column.
        let hangs = |place: usize| upper[(place, place)].abs() <= 1e-11 * design.column(place).norm();
        if (0..upper.ncols()).any(hangs) {
            return Err(Undefined::Dependent);
        }
        let inverse = upper
            .solve_upper_triangular(&DMatrix::identity(upper.nrows(), upper.ncols()))
            .ok_or(Undefined::Dependent)?;
        Ok(Factors { design, q, upper, inverse })
    }

    /// Returns the coefficients that come nearest to `outcome`, with one step of refinement.
    pub(super) fn solve(&self, outcome: &DVector<f64>) -> DVector<f64> {
        let once = |outcome: &DVector<f64>| {
            self.upper
                .solve_upper_triangular(&(self.q.transpose() * outcome))
                .expect("no diagonal element of R is 0, or there were no Factors")
        };
        let first = once(outcome);
        let rest = outcome - &self.design * &first;
        first + once(&rest)
    }

    /// Returns the diagonal element of (XᵀX)⁻¹.
    pub(super) fn inverse_squares(&self, place: usize) -> f64 {
        self.inverse.row(place).norm_squared()
    }

    /// Returns (XᵀX)⁻¹.
    pub(super) fn covariance(&self) -> DMatrix<f64> {
        &self.inverse * self.inverse.transpose()
    }
}
