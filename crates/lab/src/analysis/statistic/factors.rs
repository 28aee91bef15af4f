//! The QR decomposition of a design matrix.

use nalgebra::{DMatrix, DVector};

use super::undefined::Undefined;

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
