//! Distribution functions, based on the special functions of statrs and libm.
//!
//! statrs' own quantiles have errors of some 1e-8; a few Newton steps remove them here. Its `erfc` has errors of up
//! to 2e-11, which would affect noncentral t, so libm's is used.

use std::f64::consts::{PI, SQRT_2};

use libm::erfc;
use statrs::function::{
    beta::beta_reg,
    erf::erfc_inv,
    gamma::{gamma_ur, ln_gamma},
};

/// Returns Φ(z), the probability that a standard normal value is at most `z`.
#[must_use]
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// Returns the `z` with Φ(z) = `p`. It is infinite at 0 and 1, and NaN outside.
#[must_use]
pub(crate) fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    // The nearer tail is used, where p is not 1 less a small number.
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    let mut z = -SQRT_2 * erfc_inv(2.0 * p);
    if z.is_finite() {
        for _ in 0..2 {
            z -= (normal_cdf(z) - p) * (0.5 * z * z).exp() * (2.0 * PI).sqrt();
        }
    }
    z
}

/// Returns the probability that Student's t with `df` degrees of freedom (above 0, not necessarily an integer) is at
/// most `t`.
#[must_use]
pub(crate) fn t_cdf(t: f64, df: f64) -> f64 {
    let tail = 0.5 * t_two_sided(t, df);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// Returns the probability that Student's t is at least as far from 0 as `t`, in either direction.
#[must_use]
pub(crate) fn t_two_sided(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    let square = t * t;
    if square < 1.0 {
        // With many degrees of freedom, the other argument would be 1 except for rounding.
        1.0 - beta_reg(0.5, 0.5 * df, square / (df + square))
    } else {
        beta_reg(0.5 * df, 0.5, df / (df + square))
    }
}

/// Returns the `t` below which Student's t stays with probability `p`. It is infinite at 0 and 1, and NaN outside.
#[must_use]
pub(crate) fn t_quantile(p: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p > 0.5 {
        return -t_quantile(1.0 - p, df);
    }
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    if p == 0.5 {
        return 0.0;
    }
    // With heavy tails, ln t against ln p is nearly straight, so the steps use logarithms.
    let mut t = normal_quantile(p).abs().max(1e-3);
    for _ in 0..100 {
        let tail = 0.5 * t_two_sided(t, df);
        let step = (tail / p).ln() * tail / (t * t_density(t, df));
        t *= step.clamp(-2.0, 2.0).exp();
        if step.abs() < 1e-15 {
            break;
        }
    }
    -t
}

fn t_density(t: f64, df: f64) -> f64 {
    let scale = ln_gamma(0.5 * (df + 1.0)) - ln_gamma(0.5 * df) - 0.5 * (df * PI).ln();
    (scale - 0.5 * (df + 1.0) * (t * t / df).ln_1p()).exp()
}

/// Returns the probability that F with these degrees of freedom is at least `f`.
#[must_use]
pub(crate) fn f_upper(f: f64, numerator_df: f64, denominator_df: f64) -> f64 {
    if f.is_infinite() {
        return 0.0;
    }
    // Rounding makes the statistic of values that hardly vary negative.
    if f.is_nan() || f <= 0.0 {
        return 1.0;
    }
    beta_reg(0.5 * denominator_df, 0.5 * numerator_df, denominator_df / (denominator_df + numerator_df * f))
}

/// Returns the probability that χ² with `df` degrees of freedom is at least `x`.
#[must_use]
pub(crate) fn chi_squared_upper(x: f64, df: f64) -> f64 {
    if x <= 0.0 { 1.0 } else { gamma_ur(0.5 * df, 0.5 * x) }
}

/// Returns the probability that noncentral t with `df` degrees of freedom and noncentrality `shift` is at most `t`.
/// The absolute error is below 1e-12 for shifts up to 30.
///
/// Lenth, "Algorithm AS 243: Cumulative distribution function of the non-central t distribution", Applied
/// Statistics 38 (1989); the terms by their logarithms, so that a large shift does not underflow.
#[must_use]
pub(crate) fn noncentral_t_cdf(t: f64, df: f64, shift: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - noncentral_t_cdf(-t, df, -shift);
    }
    if shift == 0.0 {
        return t_cdf(t, df);
    }
    let base = normal_cdf(-shift);
    if t == 0.0 {
        return base;
    }
    let x = t * t / (df + t * t);
    let half = 0.5 * shift * shift;
    let mode = half.floor();
    let mut total = 0.0;
    // The weights are those of a Poisson distribution, so terms beyond some ten standard deviations are negligible.
    let reach = 12.0 * (half.sqrt() + 3.0);
    let mut j = (mode - reach).max(0.0);
    while j <= mode + reach {
        let even = (j * half.ln() - half - ln_gamma(j + 1.0)).exp();
        let odd = shift / SQRT_2 * (j * half.ln() - half - ln_gamma(j + 1.5)).exp();
        if j > mode && even + odd.abs() < 1e-18 {
            break;
        }
        total += even * beta_reg(j + 0.5, 0.5 * df, x) + odd * beta_reg(j + 1.0, 0.5 * df, x);
        j += 1.0;
    }
    (base + 0.5 * total).clamp(0.0, 1.0)
}
