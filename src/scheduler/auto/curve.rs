//! The time for which a slot is in use for each token, at each number of concurrent streams, and the throughput that one
//! stream more brings. This time is called the time of a token here.

use std::collections::BTreeMap;

/// The weight of the newest value in the slow mean and in the fast one.
const SLOW: f64 = 1.0 / 128.0;
const FAST: f64 = 1.0 / 8.0;
/// The values before the two means are compared, and before a mean counts.
const SETTLED: u32 = 16;
const LEAST: u32 = 4;
/// If the means differ by more than this share, the upstream has changed, and the past is forgotten.
const CHANGED: f64 = 0.3;

/// The measured times of a token.
#[derive(Debug, Default)]
pub(super) struct Curve {
    levels: BTreeMap<usize, Level>,
    /// The mean of the squared deviations of single values, relative to the mean.
    spread: f64,
    count: u32,
    /// The same of means over as many values as streams run together, times this number. It is equal for values that
    /// vary independently, and larger if streams that run together are slow or fast together.
    group_spread: f64,
    groups: u32,
}

/// The throughput that the last stream brings, as a share of that of an average stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gain {
    pub(super) share: f64,
    /// Its standard error.
    pub(super) error: f64,
}

/// The times of a token at one number of streams, in seconds.
#[derive(Clone, Copy, Debug)]
struct Level {
    count: u32,
    slow: f64,
    fast: f64,
    /// The values since the last group was complete, and their sum.
    group: u32,
    group_seconds: f64,
}

impl Level {
    const fn new(count: u32, seconds: f64) -> Level {
        Level { count, slow: seconds, fast: seconds, group: 0, group_seconds: 0.0 }
    }

    /// Returns the squared relative deviation of the mean of a group that is complete with this value, times its size.
    fn group_deviation(&mut self, streams: usize, seconds: f64) -> Option<f64> {
        self.group += 1;
        self.group_seconds += seconds;
        if (self.group as usize) < streams {
            return None;
        }
        let (size, mean) = (f64::from(self.group), self.group_seconds / f64::from(self.group));
        // The first group is the mean itself.
        let is_first = self.count <= self.group;
        (self.group, self.group_seconds) = (0, 0.0);
        (!is_first).then(|| size * (mean / self.slow - 1.0).powi(2))
    }
}

impl Curve {
    /// Adds the time of a token of a stream that ran beside others, `streams` in all.
    pub(super) fn observe(&mut self, streams: usize, seconds: f64) {
        if !(seconds.is_finite() && seconds > 0.0) {
            return;
        }
        let level = self.levels.entry(streams).or_insert(Level::new(0, seconds));
        level.count = level.count.saturating_add(1);
        if level.count > 1 {
            self.count = self.count.saturating_add(1);
            let deviation = (seconds / level.slow - 1.0).powi(2);
            self.spread += f64::from(self.count).recip().max(SLOW) * (deviation - self.spread);
        }
        // The first values have equal weights.
        let equal = 1.0 / f64::from(level.count);
        level.slow += equal.max(SLOW) * (seconds - level.slow);
        level.fast += equal.max(FAST) * (seconds - level.fast);
        if let Some(deviation) = level.group_deviation(streams, seconds) {
            self.groups = self.groups.saturating_add(1);
            self.group_spread += f64::from(self.groups).recip().max(SLOW) * (deviation - self.group_spread);
        }
        let present = *level;
        if present.count >= SETTLED && (present.fast / present.slow - 1.0).abs() > CHANGED {
            self.levels.clear();
            self.levels.insert(streams, Level::new(LEAST, present.fast));
        }
    }

    /// Forgets the times at more streams than these.
    pub(super) fn forget_above(&mut self, streams: usize) {
        self.levels.retain(|at, _| *at <= streams);
    }

    /// Whether one stream less is known to bring less throughput.
    pub(super) fn is_less_below(&self, streams: usize) -> bool {
        let throughput = |at: usize| {
            let level = self.levels.get(&at).filter(|level| level.count >= LEAST)?;
            Some(at as f64 / level.slow)
        };
        throughput(streams - 1).zip(throughput(streams)).is_some_and(|(below, at)| below < at)
    }

    /// Returns the throughput that the last of so many streams brings. `None`: too little is known.
    ///
    /// It is the elasticity of the throughput `n / t(n)`, that is `1 - n * t'(n) / t(n)`. `t` is fitted around `streams`
    /// by least squares: a parabola, as in the Universal Scalability Law, or a line if only two numbers of streams
    /// are known, or if the error of the parabola is larger than what the line leaves out.
    pub(super) fn gain(&self, streams: usize) -> Option<Gain> {
        let known = |level: &Level| level.count >= LEAST;
        self.levels.get(&streams).filter(|level| known(level))?;
        let near = self.levels.range(streams.div_ceil(2)..=streams.saturating_mul(2));
        let points: Vec<_> = near
            .filter(|(_, level)| known(level))
            .map(|(at, level)| {
                let weight = f64::from(level.count.min(2 * SLOW.recip() as u32));
                (*at as f64 - streams as f64, level.slow, weight)
            })
            .collect();
        let n = streams as f64;
        let spread = self.spread.max(self.group_spread);
        let gain = |fit: Fit, bend: f64| {
            let error = (n * (spread * fit.slope_variance.max(0.0)).sqrt()).hypot(bend);
            (fit.time > 0.0).then(|| Gain { share: 1.0 - n * fit.slope / fit.time, error })
        };
        match points.len() {
            0 | 1 => None,
            2 => gain(line(&points)?, 0.0),
            _ => {
                // By the Universal Scalability Law, a line misses at most this share by the bend.
                let reach = points.iter().map(|(x, ..)| x.abs()).fold(0.0, f64::max);
                let straight = gain(line(&points)?, reach / (2.0 * n));
                let bent = parabola(&points).and_then(|fit| gain(fit, 0.0));
                straight.into_iter().chain(bent).min_by(|one, other| one.error.total_cmp(&other.error))
            }
        }
    }
}

/// A fit at position 0.
struct Fit {
    time: f64,
    slope: f64,
    /// The variance of the slope, if a value of weight 1 has variance 1.
    slope_variance: f64,
}

/// A point: the position, the value and its weight.
type TokenTime = (f64, f64, f64);

/// The sum of `weight * position^power * value^times`.
fn sum(points: &[TokenTime], power: i32, times: i32) -> f64 {
    points.iter().map(|(x, y, weight)| weight * x.powi(power) * y.powi(times)).sum()
}

/// The line through the points.
fn line(points: &[TokenTime]) -> Option<Fit> {
    let [s0, s1, s2] = [0, 1, 2].map(|power| sum(points, power, 0));
    let [t0, t1] = [0, 1].map(|power| sum(points, power, 1));
    let det = s0 * s2 - s1 * s1;
    (det.abs() > 1e-9).then(|| Fit {
        time: (t0 * s2 - t1 * s1) / det,
        slope: (s0 * t1 - s1 * t0) / det,
        slope_variance: s0 / det,
    })
}

/// The parabola through the points.
fn parabola(points: &[TokenTime]) -> Option<Fit> {
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4].map(|power| sum(points, power, 0));
    let [t0, t1, t2] = [0, 1, 2].map(|power| sum(points, power, 1));
    let det3 = |[a, b, c]: [[f64; 3]; 3]| {
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
    };
    let det = det3([[s0, s1, s2], [s1, s2, s3], [s2, s3, s4]]);
    (det.abs() > 1e-9).then(|| Fit {
        time: det3([[t0, s1, s2], [t1, s2, s3], [t2, s3, s4]]) / det,
        slope: det3([[s0, t0, s2], [s1, t1, s3], [s2, t2, s4]]) / det,
        slope_variance: (s0 * s4 - s2 * s2) / det,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(levels: impl IntoIterator<Item = usize>, token: impl Fn(f64) -> f64) -> Curve {
        let mut curve = Curve::default();
        for streams in levels {
            for _ in 0..LEAST {
                curve.observe(streams, token(streams as f64));
            }
        }
        curve
    }

    #[test]
    fn gain_of_free_streams_is_whole_and_of_equal_shares_is_zero() {
        assert!((curve(4..=6, |_| 0.02).gain(5).unwrap().share - 1.0).abs() < 1e-9);
        assert!(curve(4..=6, |streams| 0.02 * streams).gain(5).unwrap().share.abs() < 1e-9);
        assert!(curve(4..=20, |streams| 0.02 * streams).gain(12).unwrap().share.abs() < 1e-6);
    }

    #[test]
    fn gain_is_zero_where_throughput_peaks() {
        // By the Universal Scalability Law the peak is at sqrt(0.98 / 0.98 * 256) = 16.
        let token = |n: f64| 0.02 * (1.0 + 0.02 * (n - 1.0) + 0.98 / 256.0 * n * (n - 1.0));
        let peak = curve(4..=20, token);
        assert!(peak.gain(12).unwrap().share > 0.1, "{:?}", peak.gain(12));
        assert!(peak.gain(16).unwrap().share.abs() < 0.02, "{:?}", peak.gain(16));
        assert!(peak.gain(20).unwrap().share < -0.1, "{:?}", peak.gain(20));
    }

    #[test]
    fn gain_of_unknown_number_or_of_a_single_known_number_is_unknown() {
        assert!(curve([4], |_| 0.02).gain(4).is_none());
        assert!(curve([4, 5], |_| 0.02).gain(6).is_none());
        assert!(curve([4, 40], |_| 0.02).gain(4).is_none(), "too far away");
    }

    #[test]
    fn changed_upstream_makes_the_past_worthless() {
        let mut curve = curve(4..=8, |streams| 0.02 * streams);
        assert!(curve.gain(6).is_some());
        for _ in 0..200 {
            curve.observe(6, 0.01);
        }
        assert!(curve.gain(6).is_none());
    }

    #[test]
    fn time_that_is_no_number_is_ignored() {
        let mut curve = Curve::default();
        for seconds in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            curve.observe(4, seconds);
        }
        assert!(curve.levels.is_empty());
    }
}
