//! Distribution functions, based on the special functions of statrs and libm.
//!
//! statrs' own quantiles have errors of some 1e-8; a few Newton steps remove them here. Its `erfc` has errors of up
//! to 2e-11, which would affect noncentral t, so libm's is used.

use std::f64::consts::{PI, SQRT_2};

use libm::{erfc, lgamma};
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
    let mut last = f64::INFINITY;
    for _ in 0..100 {
        let tail = 0.5 * t_two_sided(t, df);
        let step = (tail / p).ln() * tail / (t * t_density(t, df));
        t *= step.clamp(-2.0, 2.0).exp();
        // A small step that is not smaller than the one before is rounding.
        if step.abs() < 1e-15 || (step.abs() < 1e-9 && step.abs() >= last) {
            break;
        }
        last = step.abs();
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
/// Statistics 38 (1989), from the largest weight outwards, so that a large shift does not underflow.
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
    let half = 0.5 * shift * shift;
    let mode = half.floor();
    let weight = |shape: f64| (mode * half.ln() - half - lgamma(mode + shape)).exp();
    let beta = |offset: f64| Betas::at(mode + offset, df, t);
    let even = weighted(weight(1.0), half, (mode, 1.0), beta(0.5));
    let odd = shift / SQRT_2 * weighted(weight(1.5), half, (mode, 1.5), beta(1.0));
    let total = even + odd;
    (base + 0.5 * total).clamp(0.0, 1.0)
}

/// The weights of a series below this value do not count.
const NEGLIGIBLE: f64 = 1e-18;

/// Returns the sum of weights × incomplete betas. The weight of term `j + 1` is that of term `j` × `half` / (`j` + `shape`),
/// and `weight` and `betas` are those of the first term, `from`. The weights fall to both of its sides.
fn weighted(weight: f64, half: f64, (from, shape): (f64, f64), betas: Betas) -> f64 {
    let mut total = weight * betas.value;
    let (mut j, mut above, mut beta) = (from, weight, betas);
    while above > NEGLIGIBLE && beta.value > 0.0 {
        above *= half / (j + shape);
        beta.rise();
        total += above * beta.value;
        j += 1.0;
    }
    let (mut j, mut below, mut beta) = (from, weight, betas);
    while below > NEGLIGIBLE && j > 0.0 {
        j -= 1.0;
        below *= (j + shape) / half;
        beta.fall();
        total += below * beta.value;
    }
    total
}

/// A regularised incomplete beta function whose first parameter goes up or down by 1. Its neighbours cost a fraction of it:
/// Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 26.5.16.
#[derive(Clone, Copy)]
struct Betas {
    value: f64,
    a: f64,
    b: f64,
    ln_x: f64,
    /// The logarithm of `value` less the next one, which may be too small for a number.
    ln_step: f64,
}

impl Betas {
    /// Returns it for `a`, half the degrees of freedom, and t² / (`df` + t²). The two series of a noncentral t nearly cancel
    /// for some `t`, so both use libm's ln Γ: that of statrs has errors of some 1e-13.
    fn at(a: f64, df: f64, t: f64) -> Betas {
        let (b, square) = (0.5 * df, t * t);
        let (x, rest) = (square / (df + square), df / (df + square));
        let (ln_x, ln_rest) = (-(df / square).ln_1p(), -(square / df).ln_1p());
        let ln_step = a * ln_x + b * ln_rest + lgamma(a + b) - lgamma(a + 1.0) - lgamma(b);
        let value = if x < (a + 1.0) / (a + b + 2.0) {
            ln_step.exp() * fraction(a, b, x)
        } else {
            1.0 - ln_step.exp() * a / b * fraction(b, a, rest)
        };
        Betas { value, a, b, ln_x, ln_step }
    }

    fn rise(&mut self) {
        self.value = (self.value - self.ln_step.exp()).max(0.0);
        self.ln_step += self.ln_x + ((self.a + self.b) / (self.a + 1.0)).ln();
        self.a += 1.0;
    }

    fn fall(&mut self) {
        self.a -= 1.0;
        self.ln_step -= self.ln_x + ((self.a + self.b) / (self.a + 1.0)).ln();
        self.value = (self.value + self.ln_step.exp()).min(1.0);
    }
}

/// Returns the continued fraction of the incomplete beta function (Abramowitz and Stegun, 26.5.8), which converges fast for
/// `x` below the mean (`a` + 1) / (`a` + `b` + 2), by the method of Lentz (Applied Optics 15, 1976).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut c = 1.0;
    let mut d = (1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut value = d;
    for m in 1..10_000_u32 {
        let m = f64::from(m);
        let place = a + 2.0 * m;
        let even = m * (b - m) * x / ((place - 1.0) * place);
        let odd = -(a + m) * (a + b + m) * x / (place * (place + 1.0));
        for term in [even, odd] {
            (c, d) = (1.0 + term / c, (1.0 + term * d).recip());
            value *= c * d;
        }
        if (c * d - 1.0).abs() < 3e-16 {
            break;
        }
    }
    value
}
