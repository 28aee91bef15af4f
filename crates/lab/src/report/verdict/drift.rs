//! The sentences about a drift of the machine.

use super::super::Report;
use crate::analysis::{Comparison, Measure, Sampled};

/// Returns a sentence with its rank for each drift that endangers a decision, or that is larger than the margin.
pub(super) fn sentences(report: &Report) -> Vec<(u8, String)> {
    let analysis = &report.analysis;
    let several = report.sources.len() > 1;
    let alpha = 1.0 - analysis.settings.level;
    let across = several && analysis.between.deciding().any(|found| found.sampled == Sampled::Runs);
    let sentence = |drift: &crate::analysis::Drift| {
        let change = drift.change_sentence(alpha)?;
        let recording = |name: &str| analysis.condition(name).map(|found| found.condition.recording);
        let decides = |found: &&Comparison| {
            Measure::DECIDING.contains(&found.measure) && recording(&found.condition) == Some(drift.recording)
        };
        let decided: Vec<&Comparison> = analysis.comparisons.iter().filter(decides).collect();
        let apart = decided.iter().filter(|found| !found.paired).count();
        let (rank, consequence) = match (apart, decided.len()) {
            _ if across => (1, "This can cause or hide a difference between the recordings".to_owned()),
            (0, _) if drift.change.abs() < analysis.settings.margin => return None,
            (0, 0) => (2, "The means contain it".into()),
            (0, _) => {
                (2, "The comparisons are within repetitions, so they hold. The means contain it".into())
            }
            (1, 1) => (
                1,
                "The comparison is not within repetitions, so this can cause or hide its difference".into(),
            ),
            (all, one) if all == one => {
                (1, "No comparison is within repetitions, so this can cause or hide differences".into())
            }
            (some, all) => (
                1,
                format!(
                    "{some} of {all} comparisons are not within repetitions, so this can cause or hide differences"
                ),
            ),
        };
        let of = match report.sources.get(drift.recording as usize) {
            Some(source) if several => format!(" in {}", source.name),
            _ => String::new(),
        };
        Some((rank, format!("Drift{of}: {change}. {consequence}.")))
    };
    analysis.drift.iter().filter_map(sentence).collect()
}
