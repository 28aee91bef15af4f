//! A row for each condition against its baseline, measure by measure.

use super::{super::Report, Grid, cell, range};
use crate::analysis::{Comparison, Evidence, Outcome, p_value};

pub(super) fn grid(report: &Report) -> Grid {
    of(
        "Comparisons",
        "The condition less its baseline, within repetitions if there are at least four. p and interval are corrected \
         alike, by Holm's method over the family. g is Hedges'. Seen: the difference that these runs would have shown \
         four times in five after the correction. Smaller differences may exist.",
        &report.analysis.comparisons,
    )
}

/// Returns the table of the comparisons between recordings.
pub(super) fn between(report: &Report) -> Grid {
    of(
        "Comparison of the recordings",
        "The condition of a later recording less the same condition of the first recording, by Welch's test. p and \
         interval are corrected alike, by Holm's method over the family of one later recording. Live traffic is compared at \
         the same numbers of streams, over blocks of time.",
        &report.analysis.between.comparisons,
    )
}

/// Returns the comparisons between recordings by the measures that decide.
pub(super) fn between_deciding(report: &Report) -> Grid {
    let deciding: Vec<Comparison> = report.analysis.between.deciding().cloned().collect();
    let mut grid = of("Comparison of the recordings", "", &deciding);
    grid.order = &["condition", "measure", "verdict", "difference", "95 % interval", "p", "seen", "against"];
    grid.least = 4;
    grid
}

fn of(title: &'static str, about: &'static str, comparisons: &[Comparison]) -> Grid {
    let mut grid = Grid::new(
        title,
        about,
        &[
            "condition",
            "against",
            "measure",
            "verdict",
            "difference",
            "95 % interval",
            "p",
            "permutation p",
            "g",
            "seen",
        ],
        4,
    );
    for found in comparisons {
        let measure = found.measure;
        let sign = if found.difference >= 0.0 { "+" } else { "" };
        let largest = found.largest();
        let p = match found.evidence {
            Evidence::TooFew { have, need } => {
                format!("{}; {need} of each are needed", found.sampled.counted(have))
            }
            Evidence::NoNoise => "no noise".into(),
            Evidence::Tested { corrected, .. } => p_value(corrected),
        };
        grid.rows.push(vec![
            found.condition.clone(),
            found.baseline.clone(),
            measure.name().into(),
            verdict(found),
            format!("{sign}{}", measure.show_difference_in(found.difference, largest)),
            cell(found.interval.map(|interval| range(measure, interval, largest))),
            p,
            cell(found.permutation.map(|test| format!("{:.4}", test.p))),
            cell(found.effect.map(|effect| format!("{:.2}", effect.g))),
            cell(found.detectable.map(|least| measure.show_difference(least))),
        ]);
    }
    grid
}

fn verdict(found: &Comparison) -> String {
    if let (Outcome::Undecided, Some(times)) = (found.verdict, found.times_longer()) {
        return format!("undecided, {times:.1} times the time");
    }
    match (found.verdict, found.more_runs) {
        (Outcome::Better, _) => "better".into(),
        (Outcome::Worse, _) => "worse".into(),
        (Outcome::Higher, _) => "higher".into(),
        (Outcome::Lower, _) => "lower".into(),
        (Outcome::Equivalent, _) => "equivalent".into(),
        (Outcome::Undecided, Some(1)) => "undecided, 1 more run".into(),
        (Outcome::Undecided, Some(more)) => format!("undecided, {more} more runs"),
        (Outcome::Undecided, None) => "undecided".into(),
    }
}
