//! Correlations and the regression between the measures of runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Evidence, Measure, RunSummary, Settings,
    evidence::enough_pairs,
    statistic::{
        Correlation, Regression, centre, correlation_matrix, from_centre, least_squares, pearson_within,
        spearman_within, variance_inflation,
    },
};

/// The correlation of two measures over the runs of one condition, or within conditions over all runs. A difference
/// between conditions is no relation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Relation {
    /// The first measure.
    pub(crate) left: Measure,
    /// The second measure.
    pub(crate) right: Measure,
    /// The condition. `None`: all runs, with the condition as a factor.
    pub(crate) condition: Option<String>,
    /// The number of conditions with at least two runs.
    pub(crate) conditions: usize,
    /// Pearson's r. Its p is in `evidence`.
    pub(crate) pearson: Correlation,
    /// Spearman's ρ.
    pub(crate) spearman: Correlation,
    /// Whether r is beyond chance.
    pub(crate) evidence: Evidence,
    /// Pearson's r between the means of the conditions, over all runs. A cause that differs between the conditions has an
    /// effect on it. `None`: it is the relation of one condition, or fewer than four conditions have both measures.
    pub(crate) between: Option<Correlation>,
}

/// The smallest number of conditions with an interval of r between them.
const CONDITIONS: usize = 4;

/// Pearson's r of every measure with every other, within conditions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Matrix {
    /// The measures, one per row and column.
    pub(crate) measures: Vec<Measure>,
    /// The coefficients. `None`: too few runs have both measures.
    pub(crate) rows: Vec<Vec<Option<f64>>>,
    /// The number of runs.
    pub(crate) runs: usize,
}

/// A regression: one measure as a weighted sum of others, over runs, with the condition as a factor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Model {
    /// The measure that is explained.
    pub(crate) outcome: Measure,
    /// The measures that explain it. The coefficients of the fit are a constant, one for each of these, and one
    /// for each condition but the first.
    pub(crate) by: Vec<Measure>,
    /// The fit.
    pub(crate) fit: Regression,
    /// The variance inflation of each of `by`. `None`: the columns depend on each other.
    pub(crate) inflation: Option<Vec<f64>>,
}

impl Relation {
    /// Correlates two measures over these runs: first within conditions over all of them, and then, if there are several
    /// conditions, over the runs of each. Empty: fewer than three runs have both, or one does not vary.
    pub(super) fn all(
        left: Measure,
        right: Measure,
        runs: &[&RunSummary],
        settings: &Settings,
    ) -> Vec<Relation> {
        let mut groups: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for run in runs {
            if let Some((left, right)) = left.of(run).zip(right.of(run)) {
                let group = groups.entry(&run.condition).or_default();
                group.0.push(left);
                group.1.push(right);
            }
        }
        let between = between(groups.values(), settings.level);
        groups.retain(|_, (values, _)| values.len() > 1);
        let conditions = groups.len();
        let pooled: Vec<_> = groups.values().cloned().collect();
        let mut relations = Vec::new();
        relations.extend(
            Relation::of(left, right, None, &pooled, settings)
                .map(|relation| Relation { between, ..relation }),
        );
        if conditions > 1 {
            relations.extend(groups.into_iter().filter_map(|(name, group)| {
                Relation::of(left, right, Some(name.to_owned()), &[group], settings)
            }));
        }
        relations
    }

    fn of(
        left: Measure,
        right: Measure,
        condition: Option<String>,
        groups: &[(Vec<f64>, Vec<f64>)],
        settings: &Settings,
    ) -> Option<Relation> {
        let pearson = pearson_within(groups, settings.level).ok()?;
        if pearson.n < 3 {
            return None;
        }
        let free = pearson.n + 1 - groups.len();
        let evidence = match (enough_pairs(free, 1.0 - settings.level), pearson.p) {
            (Ok(()), Some(p)) => Evidence::Tested { p, corrected: p },
            (Ok(()), None) => Evidence::NoNoise,
            (Err(need), _) => Evidence::TooFew { have: free, need },
        };
        Some(Relation {
            left,
            right,
            condition,
            conditions: groups.len(),
            pearson: Correlation { p: evidence.p(), ..pearson },
            spearman: spearman_within(groups, settings.level)
                .map(|found| Correlation { p: evidence.p().and(found.p), ..found })
                .ok()?,
            evidence,
            between: None,
        })
    }
}

/// Correlates the means of conditions.
fn between<'a>(groups: impl Iterator<Item = &'a (Vec<f64>, Vec<f64>)>, level: f64) -> Option<Correlation> {
    let (left, right): (Vec<f64>, Vec<f64>) =
        groups.map(|(left, right)| (centre(left), centre(right))).unzip();
    let enough = left.len() >= CONDITIONS;
    let found = enough.then(|| pearson_within(&[(left, right)], level).ok()).flatten()?;
    let tested = enough_pairs(found.n, 1.0 - level).is_ok();
    Some(Correlation { p: found.p.filter(|_| tested), ..found })
}

/// Returns a measure of each run, less the mean of the condition of the run. NaN: the run has no value, or it is the only
/// one of its condition.
fn within_conditions(measure: Measure, runs: &[&RunSummary]) -> Vec<f64> {
    let mut groups: BTreeMap<&str, (Vec<usize>, Vec<f64>)> = BTreeMap::new();
    for (place, run) in runs.iter().enumerate() {
        if let Some(value) = measure.of(run) {
            let (places, values) = groups.entry(&run.condition).or_default();
            places.push(place);
            values.push(value);
        }
    }
    let mut column = vec![f64::NAN; runs.len()];
    for (places, values) in groups.values().filter(|(places, _)| places.len() > 1) {
        for (place, distance) in places.iter().zip(from_centre(values)) {
            column[*place] = distance;
        }
    }
    column
}

impl Matrix {
    pub(super) fn of(runs: &[&RunSummary]) -> Matrix {
        let column = |measure: Measure| within_conditions(measure, runs);
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
        let rows: Vec<(&str, f64, Vec<f64>)> = runs
            .iter()
            .filter_map(|run| {
                let row: Option<Vec<f64>> = by.iter().map(|measure| measure.of(run)).collect();
                Some((run.condition.as_str(), outcome.of(run)?, row?))
            })
            .collect();
        let outcomes: Vec<f64> = rows.iter().map(|(_, outcome, _)| *outcome).collect();
        let mut columns: Vec<Vec<f64>> =
            (0..by.len()).map(|place| rows.iter().map(|(_, _, row)| row[place]).collect()).collect();
        let conditions: BTreeSet<&str> = rows.iter().map(|(condition, _, _)| *condition).collect();
        columns.extend(conditions.into_iter().skip(1).map(|name| {
            let member = |(condition, _, _): &(&str, f64, Vec<f64>)| f64::from(u8::from(*condition == name));
            rows.iter().map(member).collect()
        }));
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let fit = least_squares(&columns, &outcomes, settings.level).ok()?;
        let inflation = variance_inflation(&columns).ok().map(|mut inflation| {
            inflation.truncate(by.len());
            inflation
        });
        Some(Model { outcome, by: by.to_vec(), fit, inflation })
    }
}
