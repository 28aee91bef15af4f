//! The result of an analysis.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    advice::Advice,
    between::Between,
    claim::Claim,
    comparison::Comparison,
    condition::ConditionSummary,
    digest::Curves,
    drift::Drift,
    gpu::GpuSummary,
    length::Lengths,
    live::Live,
    measure::Measure,
    open::Sweep,
    relation::{Matrix, Model, Relation},
    run::RunSummary,
    series::Series,
    settings::Settings,
    window::Window,
};

/// The result of an analysis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The settings that were used.
    pub(crate) settings: Settings,
    /// Whether a simulated Ollama answered. Nothing is then said about real ones.
    pub(crate) simulated: bool,
    /// The runs that count, in the recording's order.
    pub runs: Vec<RunSummary>,
    /// The conditions, in the recording's order.
    pub conditions: Vec<ConditionSummary>,
    /// Each condition compared with the baseline that it names, measure by measure.
    pub(crate) comparisons: Vec<Comparison>,
    /// The conditions of later recordings against those of the first. Empty for one recording.
    pub(crate) between: Between,
    /// The open-loop loads, by sweep.
    pub(crate) open: Vec<Sweep>,
    /// The drift of each recording whose conditions took turns.
    pub(crate) drift: Vec<Drift>,
    /// Lag and chunk rate compared with efficiency, over the concurrent runs of Python agents, as in TR117. If there
    /// are none, over all concurrent runs.
    pub(crate) relations: Vec<Relation>,
    /// The correlation of every two measures, over all concurrent runs.
    pub(crate) matrix: Matrix,
    /// The regression of TR117 (6.2): overlap efficiency by lag p99 and chunks per second, over the runs of
    /// `relations`.
    pub(crate) model: Option<Model>,
    /// Throughput by the number of agents.
    pub(crate) series: Vec<Series>,
    /// Lag and chunks over time.
    pub(crate) windows: Vec<Window>,
    /// The distributions of each run's gaps and lags, by run.
    #[serde(skip)]
    pub(crate) curves: BTreeMap<u32, Arc<Curves>>,
    /// The largest PCIe rate of a GPU, in bytes per second. `None`: it was not measured.
    pub(crate) pcie_peak: Option<f64>,
    /// The readings of the GPUs over the whole recording. `None`: there are none.
    pub(crate) gpu: Option<GpuSummary>,
    /// The lengths of prompts and outputs, by condition.
    pub(crate) lengths: Vec<Lengths>,
    /// The requests of live traffic.
    pub(crate) live: Live,
    /// The advice.
    pub(crate) advice: Advice,
    /// The verdicts on the claims of TR117.
    pub(crate) claims: Vec<Claim>,
    /// The data that was left out, and the reasons why comparisons are weak.
    pub(crate) notes: Vec<String>,
}

impl Analysis {
    /// Returns the condition with this name.
    #[must_use]
    pub fn condition(&self, name: &str) -> Option<&ConditionSummary> {
        self.conditions.iter().find(|condition| condition.condition.name == name)
    }

    /// Returns the comparisons within recordings, and those between them.
    pub(super) fn all_comparisons(&self) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().chain(&self.between.comparisons)
    }

    /// Returns the comparison of a measure of a condition with the condition's baseline.
    #[must_use]
    pub fn comparison(&self, condition: &str, measure: Measure) -> Option<&Comparison> {
        self.comparisons.iter().find(|found| found.condition == condition && found.measure == measure)
    }
}
