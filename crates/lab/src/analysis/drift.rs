//! The drift of a recording: whether its runs became slower or faster from repetition to repetition.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    ConditionSummary, RunKind, RunSummary,
    condition::PAIRS,
    evidence::p_sentence,
    statistic::{from_centre, sum, t_two_sided},
};

/// The change of the wall times over a recording.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Drift {
    /// The number of the recording, from 0.
    pub(crate) recording: u32,
    /// The number of repetitions.
    pub(crate) repetitions: u32,
    /// The change of the wall time from the first repetition to the last, as a share. 0.3 is 30 % slower.
    pub(crate) change: f64,
    /// The probability of a change at least as large if there is no drift.
    pub(crate) p: f64,
}

impl Drift {
    /// Returns the drift of every recording whose conditions took turns in at least three repetitions.
    pub(super) fn all(conditions: &[ConditionSummary], runs: &[RunSummary]) -> Vec<Drift> {
        let mut recordings: Vec<u32> = conditions.iter().map(|found| found.condition.recording).collect();
        recordings.dedup();
        recordings.into_iter().filter_map(|recording| Drift::of(recording, conditions, runs)).collect()
    }

    /// Fits a slope of the logarithm of the wall time over the repetitions. The concurrent and the solo runs of each
    /// condition have a level of their own.
    fn of(recording: u32, conditions: &[ConditionSummary], runs: &[RunSummary]) -> Option<Drift> {
        let of_recording = |run: &&RunSummary| {
            let known = |found: &ConditionSummary| {
                found.condition.recording == recording && found.condition.name == run.condition
            };
            run.failures.is_empty() && conditions.iter().any(known)
        };
        let mut groups: BTreeMap<_, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for run in runs.iter().filter(of_recording) {
            if let Some(repetition) = run.repetition {
                let group = (run.condition.as_str(), run.kind == RunKind::Solo);
                let (repetitions, walls) = groups.entry(group).or_default();
                repetitions.push(f64::from(repetition));
                walls.push(run.wall.ln());
            }
        }
        let repetitions = || groups.values().flat_map(|(repetitions, _)| repetitions.iter().copied());
        let (first, last) = (repetitions().reduce(f64::min)?, repetitions().reduce(f64::max)?);
        let df = repetitions().count() as f64 - groups.len() as f64 - 1.0;
        if last - first < 2.0 || df < 1.0 {
            return None;
        }
        let x: Vec<f64> = groups.values().flat_map(|(repetitions, _)| from_centre(repetitions)).collect();
        let y: Vec<f64> = groups.values().flat_map(|(_, walls)| from_centre(walls)).collect();
        let product = |left: &[f64], right: &[f64]| sum(left.iter().zip(right).map(|(a, b)| a * b));
        let (xx, xy, yy) = (product(&x, &x), product(&x, &y), product(&y, &y));
        let slope = xy / xx;
        let error = ((yy - slope * xy).max(0.0) / df / xx).sqrt();
        let p = if error > 0.0 { t_two_sided(slope / error, df) } else { 1.0 };
        let change = (slope * (last - first)).exp() - 1.0;
        let repetitions = (last - first) as u32 + 1;
        change.is_finite().then_some(Drift { recording, repetitions, change, p })
    }

    /// Returns what happened, without a full stop. `None`: it may be chance.
    pub(crate) fn change_sentence(&self, alpha: f64) -> Option<String> {
        let percent = 100.0 * self.change.abs();
        let how = if self.change > 0.0 { "slower" } else { "faster" };
        let (last, p) = (self.repetitions, p_sentence(self.p));
        (self.p < alpha).then(|| {
            format!(
                "the runs became {percent:.0} % {how} from the first repetition to the last of {last} ({p})"
            )
        })
    }

    /// Returns it as a note, if it is beyond chance.
    pub(super) fn note(&self, alpha: f64) -> Option<String> {
        let change = self.change_sentence(alpha)?;
        Some(format!(
            "drift: {change}; conditions that have at least {PAIRS} repetitions in common are compared within repetitions"
        ))
    }
}
