//! Finds growth with the slope of Theil and Sen, which a few outliers do not affect.

/// The most points, since the number of pairs is quadratic.
const MOST: usize = 600;

/// The rise of a line through the points from the first to the last. Points are (time, value), in order.
pub(crate) fn growth(points: &[(f64, f64)]) -> f64 {
    let thin: Vec<_> = points.iter().step_by(points.len() / MOST + 1).collect();
    let mut slopes = Vec::new();
    for (place, early) in thin.iter().enumerate() {
        slopes.extend(thin[place + 1..].iter().map(|late| (late.1 - early.1) / (late.0 - early.0)));
    }
    assert!(!slopes.is_empty(), "{} readings are too few", points.len());
    median(slopes) * (points[points.len() - 1].0 - points[0].0)
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn trend_is_found_under_noise_and_absent_without_one() {
    let line = |slope: f64| -> Vec<_> {
        let wild = |at: usize| if at.is_multiple_of(10) { 1e6 } else { (at * 7919 % 13) as f64 };
        (0..2000).map(|at| (at as f64, 100.0 + slope * at as f64 + wild(at))).collect()
    };
    let (rises, flat) = (growth(&line(0.01)), growth(&line(0.0)));
    assert!((rises - 20.0).abs() < 2.0, "{rises}");
    assert!(flat.abs() < 1.0, "{flat}");
}
