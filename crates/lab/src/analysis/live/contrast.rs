//! Compares the rates of two recordings of live traffic.
//!
//! Nobody chose the load, so the rates of two recordings differ already if more streams ran at once in one of them. Both
//! sides are therefore compared at each number of streams that occurred in both, and their mean has the same weights on
//! both sides (direct standardisation; Fleiss, "Statistical Methods for Rates and Proportions", chapter 19).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    super::{
        Comparison, ConditionSummary, Evidence, Measure, Settings,
        statistic::{satterthwaite, t_two_sided},
    },
    Group, Level, Live,
    curve::{Cell, NEEDED},
};

/// The rates of one model in two recordings, by the number of streams.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Contrast {
    /// The condition, the model and the Ollama of the later recording.
    pub(crate) condition: String,
    /// Those of the first recording.
    pub(crate) baseline: String,
    /// The rate that is compared.
    pub(crate) measure: Measure,
    /// The numbers of streams that occurred in both, in ascending order.
    pub(crate) levels: Vec<Matched>,
}

/// The rates with a number of streams that occurred in both recordings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Matched {
    /// The rate of a stream in the later recording.
    pub(crate) later: Level,
    /// The rate of a stream in the first recording.
    pub(crate) first: Level,
    /// Its weight in the mean, which is that of both sides. 0: it occurred in too few blocks of time.
    pub(crate) weight: f64,
}

/// The two sides of a comparison.
pub(crate) struct Compared {
    pub(crate) contrast: Contrast,
    pub(crate) comparison: Comparison,
    /// The summary of each recording, which the correction over a family reads.
    pub(crate) summaries: [ConditionSummary; 2],
}

/// The mean rate of one side.
struct Side {
    rate: f64,
    variance: f64,
    blocks: usize,
}

impl Live {
    /// Compares the rates of the condition `later` with those of `first`, each model with itself. `recording` is the place
    /// of the later recording. An error says why nothing was compared.
    pub(crate) fn contrasts(
        &self,
        [later, first]: [&str; 2],
        recording: u32,
        settings: &Settings,
    ) -> Result<Vec<Compared>, String> {
        if !(self.has(later) && self.has(first)) {
            return Err(format!(
                "{later} and {first} were not compared: one is live traffic and the other is the load of an experiment. \
                 Compare a recording of a sidecar with another one of a sidecar"
            ));
        }
        let of = |condition: &str| {
            let groups = self.groups.iter().filter(|group| group.condition == condition);
            groups.collect::<Vec<_>>()
        };
        let (own, others) = (of(later), of(first));
        let mut pairs: Vec<(&Group, &Group)> = Vec::new();
        for group in &own {
            pairs.extend(partner(group, &own, &others).map(|other| (*group, other)));
        }
        if pairs.is_empty() {
            return Err(format!("{later} and {first} were not compared: they have no model in common"));
        }
        let compare = |(later, first): &(&Group, &Group)| compared(later, first, recording, settings);
        let found: Vec<Compared> = pairs.iter().filter_map(compare).collect();
        match found.is_empty() {
            false => Ok(found),
            true => Err(format!(
                "{later} and {first} were not compared: no number of streams decoded at once in both. Record both for longer"
            )),
        }
    }
}

/// Returns the group of the other recording with the same model and Ollama, or with the same model if it is at only one
/// Ollama in both. Two recordings with one group each are a pair whatever its names.
fn partner<'a>(group: &Group, own: &[&Group], others: &[&'a Group]) -> Option<&'a Group> {
    if let ([_], [only]) = (own, others) {
        return Some(only);
    }
    let model = |found: &&&Group| found.model == group.model;
    let same = others.iter().filter(model).find(|other| other.upstream == group.upstream);
    if same.is_some() {
        return same.copied();
    }
    let mut of_model = others.iter().filter(model);
    let (only, another) = (of_model.next(), of_model.next());
    only.filter(|_| another.is_none() && own.iter().filter(model).count() == 1).copied()
}

fn compared(later: &Group, first: &Group, recording: u32, settings: &Settings) -> Option<Compared> {
    // Both sides count the same thing.
    let measure = if later.counted && first.counted { Measure::StreamRate } else { Measure::RecordRate };
    let name = |group: &Group| format!("{} ({} on {})", group.condition, group.model, group.upstream);
    let (condition, baseline) = (name(later), name(first));
    let curves = [later.counts(measure), first.counts(measure)];
    let [levels, first_levels] = [&curves[0], &curves[1]].map(|curve| Level::all(curve, settings.level));
    let mut matched: Vec<Matched> = Vec::new();
    for later in levels {
        let first = first_levels.iter().find(|first| first.streams == later.streams);
        matched.extend(first.map(|first| Matched { later, first: first.clone(), weight: 0.0 }));
    }
    let blocks = |level: &Matched| {
        curves.iter().map(|curve| curve[&level.later.streams].len()).min().unwrap_or_default()
    };
    let most = matched.iter().map(blocks).max()?;
    let enough = most >= NEEDED;
    for level in matched.iter_mut().filter(|level| !enough || blocks(level) >= NEEDED) {
        level.weight = (level.later.seconds.recip() + level.first.seconds.recip()).recip();
    }
    let sum: f64 = matched.iter().map(|level| level.weight).sum();
    matched.iter_mut().for_each(|level| level.weight /= sum);
    let [of_later, of_first] = [
        Side::of(&curves[0], matched.iter().map(|level| (&level.later, level.weight))),
        Side::of(&curves[1], matched.iter().map(|level| (&level.first, level.weight))),
    ];
    let parts = [of_later.part(), of_first.part()];
    let variance = of_later.variance + of_first.variance;
    let difference = of_later.rate - of_first.rate;
    let tested = (enough && variance > 0.0).then(|| {
        let (error, df) = (variance.sqrt(), satterthwaite(&parts));
        (error, df, t_two_sided(difference / error, df))
    });
    let evidence = match tested {
        _ if !enough => Evidence::TooFew { have: most, need: NEEDED },
        None => Evidence::NoNoise,
        Some((_, _, p)) => Evidence::Tested { p, corrected: p },
    };
    let error = tested.map(|(error, df, _)| (error, df));
    let blocks = (of_later.blocks, of_first.blocks);
    let summary = |name: &str, recording, rate| {
        ConditionSummary::of_values(name, recording, BTreeMap::from([(measure, vec![rate])]), settings)
    };
    Some(Compared {
        summaries: [summary(&condition, recording, of_later.rate), summary(&baseline, 0, of_first.rate)],
        comparison: Comparison::of_rates(
            measure,
            [&condition, &baseline],
            blocks,
            difference,
            (error, evidence),
        ),
        contrast: Contrast { condition, baseline, measure, levels: matched },
    })
}

impl Side {
    /// Returns the mean of the rates with these weights. Its variance is the linearised one of ratios over blocks of time,
    /// in which all numbers of streams are disturbed together.
    fn of<'a>(
        curve: &BTreeMap<u32, BTreeMap<u64, Cell>>,
        levels: impl Iterator<Item = (&'a Level, f64)> + Clone,
    ) -> Side {
        let weighted = || levels.clone().filter(|(_, weight)| *weight > 0.0);
        let mut residuals: BTreeMap<u64, f64> = BTreeMap::new();
        for (level, weight) in weighted() {
            for (block, cell) in &curve[&level.streams] {
                let residual = weight * (cell.tokens - level.rate * cell.seconds) / level.seconds;
                *residuals.entry(*block).or_default() += residual;
            }
        }
        // The number of streams that occurred in the fewest blocks has the most uncertain variance.
        let blocks = weighted().map(|(level, _)| curve[&level.streams].len()).min().unwrap_or(1);
        let squares: f64 = residuals.values().map(|residual| residual * residual).sum();
        Side {
            rate: weighted().map(|(level, weight)| weight * level.rate).sum(),
            variance: squares * blocks as f64 / (blocks.max(2) - 1) as f64,
            blocks,
        }
    }

    /// Returns the squared standard error with its degrees of freedom.
    fn part(&self) -> (f64, f64) {
        (self.variance, (self.blocks.max(2) - 1) as f64)
    }
}

impl Group {
    /// Returns the blocks of each number of streams, with tokens or with records as their counts.
    fn counts(&self, measure: Measure) -> BTreeMap<u32, BTreeMap<u64, Cell>> {
        let mut cells = self.curve.cells().clone();
        if measure == Measure::RecordRate {
            for cell in cells.values_mut().flat_map(BTreeMap::values_mut) {
                cell.tokens = cell.records;
            }
        }
        cells
    }
}
