//! Ranks of values.

/// Returns the rank of each value, from 1. Equal values share the mean of their ranks. The values must be finite.
#[must_use]
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut done = 0;
    // -0.0 and 0.0 are adjacent in the order, and equal.
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let shared = done as f64 + 0.5 * (tied.len() + 1) as f64;
        for place in tied {
            ranks[*place] = shared;
        }
        done += tied.len();
    }
    ranks
}
