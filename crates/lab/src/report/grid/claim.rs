//! A row for each claim of TR117.

use super::{super::Report, Grid};
use crate::analysis::Verdict;

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Verdicts on the claims of TR117 (Technical Report 117)",
        "Here, with this model on this machine. Supported: the interval lies within what is claimed; refuted: it lies \
         outside.",
        &["claim", "section", "verdict", "because"],
        4,
    );
    for claim in &report.analysis.claims {
        let verdict = match claim.verdict {
            Verdict::Supported => "supported",
            Verdict::Refuted => "refuted",
            Verdict::Undecided => "undecided",
        };
        let row = [claim.says, claim.section, verdict, &claim.because];
        grid.rows.push(row.map(str::to_owned).into());
    }
    grid
}
