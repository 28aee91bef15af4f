//! Analyses recordings of experiments: statistics over runs, advice, and verdicts on the claims of Technical Report
//! 117 (TR117).
//!
//! The module is pure: it turns a [`Recording`] into an [`Analysis`], and the same input gives the same result. It
//! uses no I/O, no async and no Prometheus. Units are seconds, tokens, bytes and watts. Efficiencies and shares are
//! ratios.
//!
//! ```
//! use streamgauge_lab::analysis::{Agent, Condition, Recording, Run, RunKind, Settings, analyse};
//!
//! let mut recording = Recording::default();
//! recording.conditions.push(Condition { name: "pair".into(), ..Condition::default() });
//! let mut add = |id, kind, durations: &[f64]| {
//!     recording.runs.push(Run { id, condition: "pair".into(), kind, ..Run::default() });
//!     for (agent, duration) in durations.iter().enumerate() {
//!         let (agent, role) = (agent as u32, "writer".into());
//!         recording.agents.push(Agent { run: id, agent, role, duration: *duration, ..Agent::default() });
//!     }
//! };
//! for repetition in 0..4 {
//!     add(2 * repetition, RunKind::Solo, &[2.0 + 0.01 * f64::from(repetition)]);
//!     add(2 * repetition + 1, RunKind::Together, &[3.0, 3.1 - 0.01 * f64::from(repetition)]);
//! }
//! let analysis = analyse(&recording, &Settings::default());
//! let truth = analysis.conditions[0].truth.unwrap();
//! assert!((truth.speedup - 4.03 / 3.085).abs() < 1e-12);
//! assert!(truth.interval.unwrap().contains(1.3));
//! ```

mod advice;
mod baseline;
mod between;
#[cfg(any(test, feature = "experiment"))]
mod burst;
mod claim;
mod comparison;
mod condition;
mod consumption;
mod curve;
mod digest;
mod drift;
mod energy;
mod evidence;
mod family;
mod gaps;
mod gpu;
mod length;
mod live;
mod load;
mod measure;
mod note;
mod open;
mod recording;
mod reduction;
mod relation;
mod result;
mod run;
mod sampled;
mod sequential;
mod series;
mod settings;
mod speedup;
mod spread;
pub mod statistic;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;

use advice::Advice;
#[cfg(any(test, feature = "experiment"))]
pub(crate) use advice::Answer;
use baseline::Baselines;
pub(crate) use between::Between;
#[cfg(test)]
use claim::Claim;
#[cfg(any(test, feature = "experiment"))]
pub(crate) use claim::Verdict;
pub use comparison::Comparison;
pub(crate) use comparison::Outcome;
pub use condition::ConditionSummary;
pub(crate) use consumption::Energy;
pub(crate) use curve::Curve;
#[cfg(feature = "experiment")]
pub(crate) use digest::Curves;
pub use digest::RunDigest;
pub(crate) use drift::Drift;
pub(crate) use evidence::Evidence;
#[cfg(feature = "experiment")]
pub(crate) use evidence::{p_value, too_few};
pub use gaps::Gaps;
pub(crate) use gpu::GpuSummary;
pub(crate) use length::Lengths;
pub(crate) use live::Live;
#[cfg(feature = "experiment")]
pub(crate) use live::{Contrast, Group, Slowdown};
pub use load::{Load, Slo};
pub use measure::Measure;
pub use open::Request;
#[cfg(feature = "experiment")]
pub(crate) use open::{NOT_SENT, Quantiles, Rate, Sweep, requests};
pub use recording::{
    Agent, Chunk, Condition, GpuSample, LagSample, Language, Probe, Recording, Remedy, Run, RunKind, Served,
};
#[cfg(feature = "experiment")]
pub(crate) use reduction::{ChunkRows, LagRows};
pub(crate) use relation::{Matrix, Model, Relation};
pub use result::Analysis;
use run::Rows;
pub use run::RunSummary;
pub(crate) use sampled::Sampled;
pub use sequential::{Precision, Until};
pub(crate) use series::Series;
pub use settings::Settings;
pub use speedup::TrueSpeedup;
pub(crate) use speedup::{Alone, OverlapSpeedup, overlap_speedup, paired_speedup, true_speedup};
pub(crate) use spread::Spread;
#[cfg(feature = "experiment")]
pub(crate) use window::Window;

/// Analyses a recording. Values for which the recording has no data are missing in the result, and the notes say so.
#[must_use]
pub fn analyse(recording: &Recording, settings: &Settings) -> Analysis {
    let mut notes = recording.notes.clone();
    let digests = reduction::digests(recording, settings.window);
    let rows = Rows::by_run(recording, &digests);
    let mut runs = summaries(recording, &rows, &mut notes);
    let planned = condition::with_baselines(&recording.conditions, &mut notes);
    let baselines_of = runs.clone();
    let baselines = Baselines::of(&baselines_of, &rows);
    for run in runs.iter_mut().filter(|run| run.kind == RunKind::Together && run.failures.is_empty()) {
        let condition = planned.iter().find(|condition| condition.name == run.condition);
        let Some(owner) = condition.and_then(|condition| baselines.owner(condition)) else { continue };
        run.truth = baselines.speedup(owner, &roles(&rows, run.id), &[run.wall], settings.level).ok();
    }
    let conditions: Vec<ConditionSummary> = planned
        .iter()
        .map(|condition| {
            ConditionSummary::of(condition, &runs, &baselines, |run| roles(&rows, run), settings)
        })
        .collect();
    notes.extend(note::notes(&conditions, &runs, &rows));
    let open = open::sweeps(recording, &digests, settings, &mut notes);
    let live = Live::of(recording, settings);
    notes.extend(live.notes());
    let drift = Drift::all(&conditions, &runs);
    notes.extend(drift.iter().filter_map(|drift| drift.note(1.0 - settings.level)));
    let together: Vec<&RunSummary> = runs.iter().filter(|run| run.kind == RunKind::Together).collect();
    let asked = related(&together, &conditions);
    let relations = relations(&asked, settings);
    let by = [Measure::LagP99, Measure::ChunksPerSecond];
    let model = Model::of(Measure::OverlapEfficiency, &by, &asked, settings);
    let pcie = recording.gpu.iter().flat_map(|sample| [sample.pcie_received, sample.pcie_sent]);
    let mut analysis = Analysis {
        settings: *settings,
        simulated: recording.simulated,
        comparisons: comparisons(&conditions, settings),
        between: Between::default(),
        open,
        drift,
        relations,
        matrix: Matrix::of(&together),
        model,
        series: Series::all(&recording.conditions, &runs, settings.level),
        windows: digest::windows(&digests),
        curves: digests.values().map(|digest| (digest.run, digest.curves.clone())).collect(),
        pcie_peak: pcie.filter(|rate| rate.is_finite()).reduce(f64::max),
        gpu: GpuSummary::of(&recording.gpu),
        lengths: Lengths::all(recording),
        live,
        advice: Advice::default(),
        claims: Vec::new(),
        notes,
        conditions,
        runs,
    };
    analysis.advice = Advice::of(&analysis);
    analysis.claims = claim::claims(&analysis);
    analysis
}

#[cfg(feature = "experiment")]
impl Analysis {
    /// Compares pairs of conditions, of loads or of sweeps of different recordings, each later one with the one of the first
    /// recording.
    pub(crate) fn compare(&mut self, pairs: &[(String, String)]) {
        let mut between = Between { pairs: pairs.len(), ..Between::default() };
        if pairs.is_empty() {
            return;
        }
        let loads = self.open.iter().flat_map(|sweep| sweep.summaries(&self.settings));
        let mut summaries: Vec<ConditionSummary> = self.conditions.iter().cloned().chain(loads).collect();
        let (live, chosen): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|(later, first)| self.live.has(later) || self.live.has(first));
        for (later, first) in chosen {
            let named = |name: &str| summaries.iter().find(|found| found.condition.name == name);
            let (Some(later), Some(first)) = (named(later), named(first)) else { continue };
            between.failures.extend(
                later
                    .fails_more_than(first)
                    .map(|veto| format!("{} fails more often: {veto}", later.condition.name)),
            );
            let of = |measure| Comparison::of(measure, later, first, &self.settings);
            between.comparisons.extend(Measure::COMPARED.into_iter().chain(Measure::OPEN).filter_map(of));
        }
        for (later, first) in live {
            let recording = summaries.iter().find(|found| found.condition.name == *later);
            let recording = recording.map_or(0, |found| found.condition.recording);
            match self.live.contrasts([later, first], recording, &self.settings) {
                Err(apart) => between.apart.push(apart),
                Ok(found) => {
                    for one in found {
                        between.live.push(one.contrast);
                        between.comparisons.push(one.comparison);
                        summaries.extend(one.summaries);
                    }
                }
            }
        }
        family::correct(&mut between.comparisons, &summaries, &self.settings);
        self.notes.extend(between.apart.iter().cloned());
        self.between = between;
        // A claim may be about a condition of one recording and a condition of another.
        self.claims = claim::claims(self);
    }
}

/// Summarises the runs that are complete, without those that warm up. The notes name the others.
fn summaries(
    recording: &Recording,
    rows: &HashMap<u32, Rows<'_>>,
    notes: &mut Vec<String>,
) -> Vec<RunSummary> {
    let (mut runs, none) = (Vec::new(), Rows::default());
    let counts = |run: &&Run| !run.warm_up && run.kind != RunKind::Open;
    for run in recording.runs.iter().filter(counts) {
        match rows.get(&run.id).unwrap_or(&none).summarise(run) {
            Ok(summary) => runs.push(summary),
            Err(fault) => notes.push(format!("run {} is left out: {fault}", run.id)),
        }
    }
    run::leave_out_partial(&mut runs, notes);
    runs
}

/// Compares each condition with its baseline, by every measure. The comparisons of a family are corrected together.
fn comparisons(conditions: &[ConditionSummary], settings: &Settings) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for condition in conditions {
        let named = condition.condition.baseline.as_deref();
        let baseline = conditions.iter().find(|other| Some(other.condition.name.as_str()) == named);
        if let Some(baseline) = baseline {
            let compare = |measure| Comparison::of(measure, condition, baseline, settings);
            comparisons.extend(Measure::COMPARED.into_iter().filter_map(compare));
        }
    }
    family::correct(&mut comparisons, conditions, settings);
    comparisons
}

/// Returns the runs whose measures are related to each other: those of Python's clients, or all if there are none.
fn related<'a>(together: &[&'a RunSummary], conditions: &[ConditionSummary]) -> Vec<&'a RunSummary> {
    let is_python = |run: &&RunSummary| {
        conditions.iter().any(|condition| {
            condition.condition.name == run.condition && condition.condition.language == Language::Python
        })
    };
    let python: Vec<&RunSummary> = together.iter().copied().filter(is_python).collect();
    if python.is_empty() { together.to_vec() } else { python }
}

/// Relates lag, chunks and efficiency, as TR117 does.
fn relations(runs: &[&RunSummary], settings: &Settings) -> Vec<Relation> {
    [
        (Measure::LagP99, Measure::OverlapEfficiency),
        (Measure::LagP99, Measure::TrueEfficiency),
        (Measure::LagP99, Measure::ChunksPerSecond),
        (Measure::OverlapEfficiency, Measure::Balance),
        (Measure::OverlapEfficiency, Measure::TrueEfficiency),
    ]
    .into_iter()
    .flat_map(|(left, right)| Relation::all(left, right, runs, settings))
    .collect()
}

/// Returns the roles of a run's agents, one per agent.
fn roles<'a>(rows: &HashMap<u32, Rows<'a>>, run: u32) -> Vec<&'a str> {
    rows.get(&run).map_or_else(Vec::new, |rows| rows.agents.iter().map(|agent| agent.role.as_str()).collect())
}
