//! A row for each condition against its baseline, measure by measure.

use super::{super::Report, Grid, cell, range};
use crate::analysis::Evidence;

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Comparisons",
        "The condition less its baseline. p is Welch's, corrected over conditions by Holm; g is Hedges'. Seen: the \
         difference that these runs would have shown four times in five. Smaller ones may well be there.",
        &[
            "condition",
            "against",
            "measure",
            "difference",
            "95 % interval",
            "p",
            "permutation p",
            "g",
            "seen",
        ],
        3,
    );
    for found in &report.analysis.comparisons {
        let measure = found.measure;
        let sign = if found.difference >= 0.0 { "+" } else { "" };
        let p = match found.evidence {
            Evidence::TooFew { have, need } => format!("{have} runs; {need} of each are needed"),
            Evidence::NoNoise => "no noise".into(),
            Evidence::Tested { corrected, .. } if corrected < 0.0001 => "< 0.0001".into(),
            Evidence::Tested { corrected, .. } => format!("{corrected:.4}"),
        };
        grid.rows.push(vec![
            found.condition.clone(),
            found.baseline.clone(),
            measure.name().into(),
            format!("{sign}{}", measure.show(found.difference)),
            cell(found.interval.map(|interval| range(measure, interval))),
            p,
            cell(found.permutation.map(|test| format!("{:.4}", test.p))),
            cell(found.effect.map(|effect| format!("{:.2}", effect.g))),
            cell(found.detectable.map(|least| measure.show(least))),
        ]);
    }
    grid
}
