//! The measures that are compared over runs.

use serde::Serialize;

use super::{RunKind, RunSummary, statistic::Interval};

/// One measure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// True speedup / number of agents.
    TrueEfficiency,
    /// True speedup.
    TrueSpeedup,
    /// Overlap speedup / number of agents.
    OverlapEfficiency,
    /// Overlap speedup.
    OverlapSpeedup,
    /// Shortest duration / longest duration.
    Balance,
    /// Wall time.
    Wall,
    /// Tokens per second of all agents.
    Throughput,
    /// Ollama's own rate of the last agent − that of the first.
    ThroughputDelta,
    /// Median time to the first token.
    FirstToken,
    /// Median gap between chunks.
    GapP50,
    /// 99th percentile of the gap between chunks.
    GapP99,
    /// Mean lag of the event loop.
    LagMean,
    /// 99th percentile of the lag.
    LagP99,
    /// Chunks per second of all agents.
    ChunksPerSecond,
    /// Mean time to parse a chunk.
    ParseMean,
    /// CPU time per token.
    CpuPerToken,
}

impl Measure {
    /// All measures.
    pub(crate) const ALL: [Measure; 16] = [
        Measure::TrueEfficiency,
        Measure::TrueSpeedup,
        Measure::OverlapEfficiency,
        Measure::OverlapSpeedup,
        Measure::Balance,
        Measure::Wall,
        Measure::Throughput,
        Measure::ThroughputDelta,
        Measure::FirstToken,
        Measure::GapP50,
        Measure::GapP99,
        Measure::LagMean,
        Measure::LagP99,
        Measure::ChunksPerSecond,
        Measure::ParseMean,
        Measure::CpuPerToken,
    ];

    /// The measures by which two conditions are compared.
    pub(crate) const COMPARED: [Measure; 8] = [
        Measure::TrueEfficiency,
        Measure::OverlapEfficiency,
        Measure::Throughput,
        Measure::FirstToken,
        Measure::GapP99,
        Measure::LagP99,
        Measure::ChunksPerSecond,
        Measure::CpuPerToken,
    ];

    /// The measures that the advice and the verdicts use. Their comparisons are one family of hypotheses.
    pub(crate) const DECIDING: [Measure; 5] = [
        Measure::TrueEfficiency,
        Measure::Throughput,
        Measure::FirstToken,
        Measure::LagP99,
        Measure::CpuPerToken,
    ];

    /// The measures of the correlation matrix.
    pub(crate) const CORRELATED: [Measure; 8] = [
        Measure::LagP99,
        Measure::LagMean,
        Measure::ChunksPerSecond,
        Measure::GapP50,
        Measure::OverlapEfficiency,
        Measure::TrueEfficiency,
        Measure::Balance,
        Measure::Throughput,
    ];

    /// Returns its name for a sentence.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Measure::TrueEfficiency => "true efficiency",
            Measure::TrueSpeedup => "true speedup",
            Measure::OverlapEfficiency => "overlap efficiency",
            Measure::OverlapSpeedup => "overlap speedup",
            Measure::Balance => "balance of durations",
            Measure::Wall => "wall time",
            Measure::Throughput => "throughput",
            Measure::ThroughputDelta => "throughput delta",
            Measure::FirstToken => "time to first token",
            Measure::GapP50 => "gap p50",
            Measure::GapP99 => "gap p99",
            Measure::LagMean => "mean lag",
            Measure::LagP99 => "lag p99",
            Measure::ChunksPerSecond => "chunks per second",
            Measure::ParseMean => "mean parse time",
            Measure::CpuPerToken => "CPU time per token",
        }
    }

    /// Returns whether a larger value is better. `None`: neither is.
    #[must_use]
    pub(crate) fn more_is_better(self) -> Option<bool> {
        match self {
            Measure::TrueEfficiency | Measure::TrueSpeedup | Measure::Throughput => Some(true),
            Measure::Wall
            | Measure::FirstToken
            | Measure::GapP50
            | Measure::GapP99
            | Measure::LagMean
            | Measure::LagP99
            | Measure::ParseMean
            | Measure::CpuPerToken => Some(false),
            Measure::OverlapEfficiency
            | Measure::OverlapSpeedup
            | Measure::Balance
            | Measure::ThroughputDelta
            | Measure::ChunksPerSecond => None,
        }
    }

    /// Formats a value, or a difference of two values, for people.
    #[must_use]
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Measure::TrueEfficiency | Measure::OverlapEfficiency => format!("{:.1} %", 100.0 * value),
            Measure::TrueSpeedup | Measure::OverlapSpeedup | Measure::Balance => format!("{value:.3}"),
            Measure::Wall => format!("{value:.2} s"),
            Measure::Throughput | Measure::ThroughputDelta => format!("{value:.1} tok/s"),
            Measure::ChunksPerSecond => format!("{value:.1}/s"),
            Measure::CpuPerToken | Measure::ParseMean => format!("{:.1} µs", 1e6 * value),
            Measure::FirstToken | Measure::GapP50 | Measure::GapP99 | Measure::LagMean | Measure::LagP99 => {
                format!("{:.2} ms", 1e3 * value)
            }
        }
    }

    /// Limits an interval of its mean to the values that the measure can have.
    #[must_use]
    pub(crate) fn limit(self, interval: Interval) -> Interval {
        let (low, high) = match self {
            Measure::OverlapEfficiency | Measure::Balance => (0.0, 1.0),
            Measure::ThroughputDelta => (f64::NEG_INFINITY, f64::INFINITY),
            _ => (0.0, f64::INFINITY),
        };
        interval.map(|end| end.clamp(low, high))
    }

    /// Returns a difference of two values as text. A difference of efficiencies is in percentage points.
    #[must_use]
    pub(crate) fn show_difference(self, difference: f64) -> String {
        match self {
            Measure::TrueEfficiency | Measure::OverlapEfficiency => {
                format!("{:.1} points", 100.0 * difference)
            }
            _ => self.show(difference),
        }
    }

    /// Returns its value in a run, in base units. Efficiencies, speedups and balance exist for concurrent runs only. A
    /// run in which an agent failed has no value: the other agents had more of the Ollama for themselves.
    #[must_use]
    pub(crate) fn of(self, run: &RunSummary) -> Option<f64> {
        if !run.failures.is_empty() {
            return None;
        }
        let together = run.kind == RunKind::Together;
        match self {
            Measure::TrueEfficiency => run.truth.map(|truth| truth.efficiency),
            Measure::TrueSpeedup => run.truth.map(|truth| truth.speedup),
            Measure::OverlapEfficiency => run.overlap.filter(|_| together).map(|overlap| overlap.efficiency),
            Measure::OverlapSpeedup => run.overlap.filter(|_| together).map(|overlap| overlap.speedup),
            Measure::Balance => run.balance.filter(|_| together),
            Measure::Wall => Some(run.wall),
            Measure::Throughput => run.throughput,
            Measure::ThroughputDelta => run.throughput_delta,
            Measure::FirstToken => run.first_token.map(|spread| spread.p50),
            Measure::GapP50 => run.gap.map(|spread| spread.p50),
            Measure::GapP99 => run.gap.map(|spread| spread.p99),
            Measure::LagMean => run.lag.map(|spread| spread.mean),
            Measure::LagP99 => run.lag.map(|spread| spread.p99),
            Measure::ChunksPerSecond => run.chunks_per_second,
            Measure::ParseMean => run.parse.map(|spread| spread.mean),
            Measure::CpuPerToken => run.cpu_per_token,
        }
    }
}
