//! Correlations and the regression between the measures of runs.

use serde::Serialize;

use super::{
    Evidence, Measure, RunSummary, Settings,
    evidence::enough_pairs,
    statistic::{
        Correlation, Regression, correlation_matrix, least_squares, pearson, spearman, variance_inflation,
    },
};

/// The correlation of two measures over runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Relation {
    /// The first measure.
    pub left: Measure,
    /// The second measure.
    pub right: Measure,
    /// Pearson's r. Its p is in `evidence`.
    pub pearson: Correlation,
    /// Spearman's ρ.
    pub spearman: Correlation,
    /// Whether r is beyond chance.
    pub evidence: Evidence,
}

/// Pearson's r of every measure with every other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    /// The measures, one per row and column.
    pub measures: Vec<Measure>,
    /// The coefficients. `None`: too few runs have both measures.
    pub rows: Vec<Vec<Option<f64>>>,
    /// The number of runs.
    pub runs: usize,
}

/// A regression: one measure as a weighted sum of others, over runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The measure that is explained.
    pub outcome: Measure,
    /// The measures that explain it. The coefficients of the fit are a constant, followed by one for each of these.
    pub by: Vec<Measure>,
    /// The fit.
    pub fit: Regression,
    /// The variance inflation of each of `by`. `None`: the columns depend on each other.
    pub inflation: Option<Vec<f64>>,
}

impl Relation {
    /// Correlates two measures over these runs. `None`: fewer than three runs have both, or one does not vary.
    pub(super) fn of(
        left: Measure,
        right: Measure,
        runs: &[&RunSummary],
        settings: &Settings,
    ) -> Option<Relation> {
        let (lefts, rights): (Vec<f64>, Vec<f64>) =
            runs.iter().filter_map(|run| Some((left.of(run)?, right.of(run)?))).unzip();
        if lefts.len() < 3 {
            return None;
        }
        let pearson = pearson(&lefts, &rights, settings.level).ok()?;
        let evidence = match (enough_pairs(lefts.len(), 1.0 - settings.level), pearson.p) {
            (Ok(()), Some(p)) => Evidence::Tested { p, corrected: p },
            (Ok(()), None) => Evidence::NoNoise,
            (Err(need), _) => Evidence::TooFew { have: lefts.len(), need },
        };
        Some(Relation {
            left,
            right,
            pearson: Correlation { p: evidence.p(), ..pearson },
            spearman: spearman(&lefts, &rights, settings.level)
                .map(|found| Correlation { p: evidence.p().and(found.p), ..found })
                .ok()?,
            evidence,
        })
    }
}

impl Matrix {
    pub(super) fn of(runs: &[&RunSummary]) -> Matrix {
        let column = |measure: Measure| {
            runs.iter().map(|run| measure.of(run).unwrap_or(f64::NAN)).collect::<Vec<f64>>()
        };
        let columns: Vec<Vec<f64>> = Measure::CORRELATED.into_iter().map(column).collect();
        Matrix {
            measures: Measure::CORRELATED.to_vec(),
            rows: correlation_matrix(&columns),
            runs: runs.len(),
        }
    }
}

impl Model {
    /// Fits the regression. `None`: too few runs have all of the measures, or the measures depend on each other.
    pub(super) fn of(
        outcome: Measure,
        by: &[Measure],
        runs: &[&RunSummary],
        settings: &Settings,
    ) -> Option<Model> {
        let rows: Vec<(f64, Vec<f64>)> = runs
            .iter()
            .filter_map(|run| {
                let row: Option<Vec<f64>> = by.iter().map(|measure| measure.of(run)).collect();
                outcome.of(run).zip(row)
            })
            .collect();
        let outcomes: Vec<f64> = rows.iter().map(|(outcome, _)| *outcome).collect();
        let columns: Vec<Vec<f64>> =
            (0..by.len()).map(|place| rows.iter().map(|(_, row)| row[place]).collect()).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let fit = least_squares(&columns, &outcomes, settings.level).ok()?;
        Some(Model { outcome, by: by.to_vec(), fit, inflation: variance_inflation(&columns).ok() })
    }
}
