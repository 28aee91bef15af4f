//! The permutation test of the difference of two means.

use serde::Serialize;

use super::{
    Random,
    sum::{centre, sum},
    undefined::{Undefined, demand},
};

/// The result of a permutation test of the difference of two means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Permutation {
    /// Mean of the first − mean of the second, in the values' unit.
    pub(crate) difference: f64,
    /// The share of labellings with a difference at least as large: twice the smaller side, at most 1.
    pub(crate) p: f64,
    /// The number of labellings that were evaluated.
    pub(crate) labellings: usize,
    /// Whether these are all labellings. If not, `p` includes the observed labelling and is never 0.
    pub(crate) exact: bool,
}

/// Tests the difference of means by Fisher's permutation test. It evaluates all labellings if there are at most
/// `most`, and otherwise `most` random ones (Phipson and Smyth, "Permutation p-values should never be zero", SAGMB 9,
/// 2010).
///
/// # Errors
/// There are fewer than two values on a side, a value is not finite, or all values are equal.
pub(crate) fn permutation_test(
    first: &[f64],
    second: &[f64],
    most: usize,
    random: &mut Random,
) -> Result<Permutation, Undefined> {
    demand(first, 2)?;
    demand(second, 2)?;
    let all = [first, second].concat();
    let middle = centre(&all);
    // The values are centred on 0, so that equal sums in another order give nearly equal numbers.
    let values: Vec<f64> = all.iter().map(|value| value - middle).collect();
    let width = values.iter().fold(0.0, |width: f64, value| width.max(value.abs()));
    if width == 0.0 {
        return Err(Undefined::Constant);
    }
    let seen: f64 = values[..first.len()].iter().sum();
    let slack = 1e-12 * width * all.len() as f64;
    let mut tally = Tally::around(seen, slack);
    let labellings = choose(all.len(), first.len());
    let exact = labellings <= most as f64;
    if exact {
        subsets(&values, first.len(), 0.0, &mut tally);
    } else {
        // The observed labelling is one of them.
        tally.add(seen);
        let mut order: Vec<u32> = Vec::with_capacity(values.len());
        for _ in 0..most {
            order.clear();
            order.extend(0..values.len() as u32);
            random.shuffle(&mut order);
            tally.add(order[..first.len()].iter().map(|place| values[*place as usize]).sum());
        }
    }
    Ok(tally.result(centre(first) - centre(second), exact))
}

/// A baseline that all values of one side are relative to: the sum of `weight` × the mean of each sample.
pub(crate) struct Baseline<'a> {
    pub(crate) samples: Vec<(f64, &'a [f64])>,
}

impl Baseline<'_> {
    /// Returns the baseline of resampled values, divided by the baseline itself. Its variance is that of the mean: a
    /// resample of n values has (n − 1) / n of it, which the result makes good.
    fn resampled(&self, random: &mut Random) -> f64 {
        let (mut all, mut apart) = (0.0, 0.0);
        for (weight, sample) in &self.samples {
            let (n, middle) = (sample.len(), centre(sample));
            let drawn = (0..n).map(|_| sample[random.below(n as u32) as usize]).sum::<f64>() / n as f64;
            all += weight * middle;
            apart += weight * (drawn - middle) * (n as f64 / (n as f64 - 1.0)).sqrt();
        }
        1.0 + apart / all
    }
}

/// Tests the difference of two means whose values are relative to a baseline of their own, such as efficiencies with solo
/// runs of their own. Each of `most` random labellings resamples both baselines, so that the result contains their
/// variance. [`permutation_test`] would take the baselines for exact, and find differences that are noise of the
/// baselines.
///
/// # Errors
/// As for [`permutation_test`], and if a sample of a baseline has fewer than two values.
pub(crate) fn permutation_test_with_baselines(
    (first, second): (&[f64], &[f64]),
    baselines: (&Baseline<'_>, &Baseline<'_>),
    most: usize,
    random: &mut Random,
) -> Result<Permutation, Undefined> {
    demand(first, 2)?;
    demand(second, 2)?;
    for (_, sample) in baselines.0.samples.iter().chain(&baselines.1.samples) {
        demand(sample, 2)?;
    }
    let mut values = [first, second].concat();
    let width = values.iter().fold(0.0, |width: f64, value| width.max((value - values[0]).abs()));
    if width == 0.0 {
        return Err(Undefined::Constant);
    }
    let difference = centre(first) - centre(second);
    let mut tally = Tally::around(difference, 1e-12 * width);
    // The observed labelling is one of them.
    tally.add(difference);
    for _ in 0..most {
        random.shuffle(&mut values);
        let (left, right) = values.split_at(first.len());
        let (of_first, of_second) = (baselines.0.resampled(random), baselines.1.resampled(random));
        tally.add(of_first * centre(left) - of_second * centre(right));
    }
    Ok(tally.result(difference, false))
}

/// Tests the mean of paired differences by Fisher's sign-flip test. It evaluates all combinations of signs if there
/// are at most `most`, and otherwise `most` random ones.
///
/// # Errors
/// There are fewer than two differences, a difference is not finite, or all differences are 0.
pub(crate) fn sign_flip_test(
    differences: &[f64],
    most: usize,
    random: &mut Random,
) -> Result<Permutation, Undefined> {
    demand(differences, 2)?;
    let width = sum(differences.iter().map(|value| value.abs()));
    if width == 0.0 {
        return Err(Undefined::Constant);
    }
    let n = differences.len();
    let seen = sum(differences.iter().copied());
    let slack = 1e-12 * width;
    let mut tally = Tally::around(seen, slack);
    let exact = n < usize::BITS as usize && 1_usize << n <= most;
    if exact {
        for signs in 0..1_usize << n {
            let signed = differences.iter().enumerate();
            tally.add(
                signed.map(|(place, value)| if signs >> place & 1 == 1 { -value } else { *value }).sum(),
            );
        }
    } else {
        tally.add(seen);
        for _ in 0..most {
            tally.add(
                differences.iter().map(|value| if random.below(2) == 1 { -value } else { *value }).sum(),
            );
        }
    }
    Ok(tally.result(seen / n as f64, exact))
}

/// Returns the smallest p that a two-sided permutation test can have for samples of these sizes. If it is not below
/// the level, no test can find a difference.
#[must_use]
pub(crate) fn smallest_p(first: usize, second: usize) -> f64 {
    (2.0 / choose(first + second, first)).min(1.0)
}

/// The number of labellings whose sum is at most, and at least, the observed one.
#[derive(Default)]
struct Tally {
    low: f64,
    high: f64,
    not_above: usize,
    not_below: usize,
    all: usize,
}

impl Tally {
    /// Counts from an observed sum. Sums that differ from it by at most `slack` are equal to it.
    fn around(observed: f64, slack: f64) -> Tally {
        Tally { low: observed + slack, high: observed - slack, ..Tally::default() }
    }

    fn result(&self, difference: f64, exact: bool) -> Permutation {
        let p = (2.0 * self.not_above.min(self.not_below) as f64 / self.all as f64).min(1.0);
        Permutation { difference, p, labellings: self.all, exact }
    }

    fn add(&mut self, sum: f64) {
        self.not_above += usize::from(sum <= self.low);
        self.not_below += usize::from(sum >= self.high);
        self.all += 1;
    }
}

/// Visits every choice of `take` values.
fn subsets(values: &[f64], take: usize, sum: f64, tally: &mut Tally) {
    if take == 0 {
        return tally.add(sum);
    }
    for place in 0..=values.len() - take {
        subsets(&values[place + 1..], take - 1, sum + values[place], tally);
    }
}

/// Returns n over k.
fn choose(n: usize, k: usize) -> f64 {
    (1..=k.min(n - k)).fold(1.0, |ways, step| (ways * (n + 1 - step) as f64 / step as f64).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_paired_differences_give_the_exact_share_of_all_signs() {
        let test = |differences: &[f64]| {
            let found = sign_flip_test(differences, 9999, &mut Random::new(1)).unwrap();
            (found.p, found.labellings, found.exact)
        };
        assert_eq!(test(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), (2.0 / 64.0, 64, true));
        // 1 − 2 + 3: as low are − + + of 1, 2, 3 and five sums below it; as high are three of eight.
        assert_eq!(test(&[1.0, -2.0, 3.0]), (0.75, 8, true));
        let drawn = sign_flip_test(&[1.0; 30], 999, &mut Random::new(1)).unwrap();
        assert_eq!((drawn.p, drawn.labellings, drawn.exact), (0.002, 1000, false));
    }

    #[test]
    fn permutation_test_needs_four_values_per_side_for_significance() {
        assert_eq!(smallest_p(3, 3), 0.1);
        assert!(smallest_p(4, 4) < 0.05);
        let far = permutation_test(&[1.0, 2.0, 3.0], &[101.0, 102.0, 103.0], 9999, &mut Random::new(1));
        assert_eq!(far.map(|test| (test.p, test.labellings, test.exact)), Ok((0.1, 20, true)));
    }
}
