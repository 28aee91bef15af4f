//! The sentence about a burst of chunks.

use super::super::Report;

/// A burst with fewer chunks, or a lower rate relative to the usual one of its run, is not worth a sentence.
const LEAST: (f64, f64) = (20.0, 2.0);

/// Returns the sentence about the burst that is the largest relative to its run.
pub(super) fn sentence(report: &Report) -> Option<String> {
    let analysis = &report.analysis;
    let window = analysis.settings.window;
    let bursts = analysis.bursts();
    let of_conditions = analysis.conditions.iter().zip(&bursts);
    let notable = of_conditions.filter_map(|(condition, burst)| {
        let burst = (*burst)?;
        let times = burst.of_median.filter(|times| *times >= LEAST.1 && burst.rate * window >= LEAST.0)?;
        Some((&condition.condition.name, burst, times))
    });
    let (name, burst, times) = notable.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(format!(
        "Burst: {:.0} chunks arrived within {window} s in run {} of {name}, {times:.1} times as many as usual in that run.",
        burst.rate * window,
        burst.run
    ))
}
