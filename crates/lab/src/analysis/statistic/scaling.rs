//! The fit of a scaling law, which shows the number of streams beyond which throughput falls.

use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::{
    Interval,
    distribution::t_quantile,
    factors::Factors,
    regression::least_squares,
    sum::{centre, sum, sum_of_squares},
    undefined::{Undefined, demand, demand_level},
};

/// The Universal Scalability Law fitted to throughputs: `X(N) = λN / (1 + σ(N − 1) + κN(N − 1))`.
///
/// Gunther, "A General Theory of Computational Scalability Based on Rational Functions", arXiv:0808.1431 (2008).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Scaling {
    /// λ, the throughput of one stream, in the unit of the throughputs.
    pub(crate) one: Parameter,
    /// σ, the share that is done serially. Below 0: more streams did more than their share.
    pub(crate) contention: Parameter,
    /// κ, the cost of each pair of streams.
    pub(crate) coherency: Parameter,
    /// The peak of the throughput. `None`: the curve has no peak (κ ≤ 0 or σ ≥ 1).
    pub(crate) peak: Option<Peak>,
    /// The share of the throughputs' variance that the curve explains.
    pub(crate) r_squared: f64,
    /// The number of throughputs.
    pub(crate) n: usize,
}

/// A fitted parameter with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Parameter {
    /// The value.
    pub(crate) value: f64,
    /// Its standard error.
    pub(crate) standard_error: f64,
    /// The interval by Student's t with n − 3 degrees of freedom.
    pub(crate) interval: Interval,
}

/// The peak of a scaling curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Peak {
    /// √((1 − σ) / κ): the number of streams, not necessarily an integer.
    pub(crate) streams: f64,
    /// The interval, by the delta method on its logarithm.
    pub(crate) interval: Interval,
    /// The throughput at the peak.
    pub(crate) throughput: f64,
    /// Whether κ's whole interval lies above 0. If not, the data do not show that there is a peak.
    pub(crate) seen: bool,
}

impl Scaling {
    /// Returns the throughput of `streams` streams.
    #[must_use]
    #[cfg(any(test, feature = "experiment"))]
    pub(crate) fn at(&self, streams: f64) -> f64 {
        curve([self.one.value, self.contention.value, self.coherency.value], streams)
    }
}

/// Fits the law to pairs of streams and throughput by Gauss and Newton's nonlinear least squares (Seber and Wild,
/// "Nonlinear Regression", 2.1), starting from the linear fit of N / X.
///
/// # Errors
/// There are fewer than four throughputs or three numbers of streams, the sides differ in length, or values are not
/// finite or not above 0.
pub(crate) fn fit_scaling(streams: &[f64], throughputs: &[f64], level: f64) -> Result<Scaling, Undefined> {
    demand_level(level)?;
    if streams.len() != throughputs.len() {
        return Err(Undefined::Unpaired { left: streams.len(), right: throughputs.len() });
    }
    demand(streams, 4)?;
    demand(throughputs, 4)?;
    if streams.iter().chain(throughputs).any(|value| *value <= 0.0) {
        return Err(Undefined::OutOfRange("a number of streams or a throughput"));
    }
    let parameters = converge(start(streams, throughputs)?, streams, throughputs)?;
    let n = streams.len();
    let rest = |place: usize| throughputs[place] - curve(parameters, streams[place]);
    let squares = sum((0..n).map(|place| rest(place).powi(2)));
    let covariance = Factors::of(slopes(parameters, streams))?.covariance() * (squares / (n - 3) as f64);
    let margin = t_quantile(0.5 + 0.5 * level, (n - 3) as f64);
    let parameter = |place: usize| {
        let (value, standard_error) = (parameters[place], covariance[(place, place)].sqrt());
        Parameter { value, standard_error, interval: Interval::around(value, margin * standard_error, level) }
    };
    let [_, sigma, kappa] = parameters;
    let coherency = parameter(2);
    let peak = (kappa > 0.0 && sigma < 1.0).then(|| {
        let top = ((1.0 - sigma) / kappa).sqrt();
        let slope = [-0.5 / (1.0 - sigma), -0.5 / kappa];
        let variance = slope[0].powi(2) * covariance[(1, 1)]
            + 2.0 * slope[0] * slope[1] * covariance[(1, 2)]
            + slope[1].powi(2) * covariance[(2, 2)];
        Peak {
            streams: top,
            interval: Interval::around(top.ln(), margin * variance.max(0.0).sqrt(), level).map(f64::exp),
            throughput: curve(parameters, top),
            seen: coherency.interval.low > 0.0,
        }
    });
    Ok(Scaling {
        one: parameter(0),
        contention: parameter(1),
        coherency,
        peak,
        r_squared: 1.0 - squares / sum_of_squares(throughputs, centre(throughputs)),
        n,
    })
}

fn curve([one, contention, coherency]: [f64; 3], streams: f64) -> f64 {
    one * streams / load(contention, coherency, streams)
}

fn load(contention: f64, coherency: f64, streams: f64) -> f64 {
    1.0 + contention * (streams - 1.0) + coherency * streams * (streams - 1.0)
}

/// Returns how the curve changes with each parameter, one row per point.
fn slopes([one, contention, coherency]: [f64; 3], streams: &[f64]) -> DMatrix<f64> {
    DMatrix::from_fn(streams.len(), 3, |row, place| {
        let n = streams[row];
        let load = load(contention, coherency, n);
        match place {
            0 => n / load,
            1 => -one * n * (n - 1.0) / (load * load),
            _ => -one * n * n * (n - 1.0) / (load * load),
        }
    })
}

/// N / X is linear in N − 1 and N(N − 1).
fn start(streams: &[f64], throughputs: &[f64]) -> Result<[f64; 3], Undefined> {
    let others: Vec<f64> = streams.iter().map(|n| n - 1.0).collect();
    let pairs: Vec<f64> = streams.iter().map(|n| n * (n - 1.0)).collect();
    let times: Vec<f64> = streams.iter().zip(throughputs).map(|(n, x)| n / x).collect();
    match least_squares(&[&others, &pairs], &times, 0.95) {
        Ok(fit) if fit.coefficients[0].value > 0.0 => {
            let [base, linear, square] = [0, 1, 2].map(|place| fit.coefficients[place].value);
            Ok([base.recip(), linear / base, square / base])
        }
        // The scaling is perfectly linear, so N / X does not vary.
        Err(Undefined::Constant) => Ok([throughputs[0] / streams[0], 0.0, 0.0]),
        Ok(_) => {
            let best = throughputs.iter().zip(streams).map(|(x, n)| x / n).fold(0.0, f64::max);
            Ok([best, 0.0, 0.0])
        }
        Err(undefined) => Err(undefined),
    }
}

fn converge(mut parameters: [f64; 3], streams: &[f64], throughputs: &[f64]) -> Result<[f64; 3], Undefined> {
    let rest = |parameters| {
        DVector::from_iterator(
            streams.len(),
            streams.iter().zip(throughputs).map(|(n, x)| x - curve(parameters, *n)),
        )
    };
    // A load of 0 or less would be a pole between the points, which no scaling curve has.
    let allowed =
        |[_, contention, coherency]: [f64; 3]| streams.iter().all(|n| load(contention, coherency, *n) > 0.0);
    for _ in 0..500 {
        let now = rest(parameters);
        let step = Factors::of(slopes(parameters, streams))?.solve(&now);
        let mut share = 1.0;
        let next = loop {
            let next = [0, 1, 2].map(|place| parameters[place] + share * step[place]);
            // Near the end, all sums of squares are equal except for rounding.
            if allowed(next) && rest(next).norm_squared() <= now.norm_squared() * (1.0 + 1e-12) {
                break next;
            }
            share *= 0.5;
            if share < 1e-12 {
                return Ok(parameters);
            }
        };
        let still = |place: usize| (next[place] - parameters[place]).abs() <= 1e-15 * next[place].abs();
        let done = (0..3).all(still);
        parameters = next;
        if done {
            break;
        }
    }
    Ok(parameters)
}
