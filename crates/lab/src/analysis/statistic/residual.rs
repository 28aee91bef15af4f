//! Checks whether a regression's residuals meet the assumptions of its standard errors.

use nalgebra::DVector;
use serde::Serialize;

use super::{
    distribution::chi_squared_upper,
    factors::Factors,
    sum::{centre, sum, sum_of_squares},
};

/// Checks of a regression's residuals. A small p means that an assumption fails. A value is `None` if the residuals
/// leave it undefined, because all of them are 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Residuals {
    /// Durbin and Watson (Biometrika 37, 1950): near 2 if neighbours are independent, towards 0 if they are similar,
    /// towards 4 if they alternate. Rows must be in the order of time.
    pub(crate) durbin_watson: Option<f64>,
    /// Jarque and Bera (International Statistical Review 55, 1987): skewness and tails compared with a normal
    /// distribution. Its p is valid for large samples.
    pub(crate) jarque_bera: Option<f64>,
    /// The p of `jarque_bera`.
    pub(crate) jarque_bera_p: Option<f64>,
    /// Breusch and Pagan (Econometrica 47, 1979) in Koenker's form: whether the spread depends on the columns.
    pub(crate) breusch_pagan: Option<f64>,
    /// The p of `breusch_pagan`.
    pub(crate) breusch_pagan_p: Option<f64>,
    /// The largest of Cook's distances (Technometrics 19, 1977). Above 1, a single row determines the fit.
    pub(crate) largest_cook: Option<f64>,
    /// The row with the largest distance, from 0.
    pub(crate) largest_cook_row: usize,
}

impl Residuals {
    /// `variance` is the sum of the residuals' squares / degrees of freedom.
    pub(super) fn of(residuals: &[f64], factors: &Factors, variance: f64) -> Residuals {
        let squares = sum(residuals.iter().map(|residual| residual * residual));
        let known = |value: f64| value.is_finite().then_some(value);
        let steps = sum(residuals.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)));
        let jarque_bera = known(jarque_bera(residuals));
        let breusch_pagan = breusch_pagan(residuals, factors);
        let columns = factors.q.ncols() as f64;
        let distances = residuals.iter().zip(factors.q.row_iter()).map(|(residual, row)| {
            let leverage = row.norm_squared();
            residual * residual / (columns * variance) * leverage / (1.0 - leverage).powi(2)
        });
        let largest = distances.enumerate().filter(|(_, d)| d.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1));
        Residuals {
            durbin_watson: known(steps / squares),
            jarque_bera,
            jarque_bera_p: jarque_bera.map(|statistic| chi_squared_upper(statistic, 2.0)),
            breusch_pagan,
            breusch_pagan_p: breusch_pagan.map(|statistic| chi_squared_upper(statistic, columns - 1.0)),
            largest_cook: largest.map(|(_, distance)| distance),
            largest_cook_row: largest.map_or(0, |(row, _)| row),
        }
    }
}

fn jarque_bera(residuals: &[f64]) -> f64 {
    let n = residuals.len() as f64;
    let centre = centre(residuals);
    let moment = |power| sum(residuals.iter().map(|residual| (residual - centre).powi(power))) / n;
    let spread = moment(2);
    let skew = moment(3) / spread.powf(1.5);
    let kurtosis = moment(4) / (spread * spread);
    n / 6.0 * (skew * skew + 0.25 * (kurtosis - 3.0).powi(2))
}

/// Returns n times the R² of the squared residuals on the columns.
fn breusch_pagan(residuals: &[f64], factors: &Factors) -> Option<f64> {
    let squares: Vec<f64> = residuals.iter().map(|residual| residual * residual).collect();
    let total = sum_of_squares(&squares, centre(&squares));
    if total == 0.0 {
        return None;
    }
    let squares = DVector::from_vec(squares);
    let rest = &squares - &factors.design * factors.solve(&squares);
    Some(squares.len() as f64 * (1.0 - sum(rest.iter().map(|rest| rest * rest)) / total))
}
