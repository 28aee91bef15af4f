//! The correction of p-values for several comparisons.

/// Returns p-values corrected for their number, in the same order: Holm, "A simple sequentially rejective multiple
/// test procedure", Scandinavian Journal of Statistics 6 (1979). The probability of even one false positive among all
/// of them stays below the level with which the corrected values are compared. NaN stays NaN and is not counted.
#[must_use]
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|place| !p[*place].is_nan()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![f64::NAN; p.len()];
    let mut floor = 0.0_f64;
    for (rank, place) in order.iter().enumerate() {
        floor = floor.max((p[*place] * (order.len() - rank) as f64).min(1.0));
        corrected[*place] = floor;
    }
    corrected
}
