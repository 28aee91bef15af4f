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
    /// Energy of all GPUs per output token.
    JoulesPerToken,
    /// Mean power of all GPUs.
    Watts,
    /// Of a sweep of open-loop loads: the highest rate up to which the SLO held.
    HeldRate,
    /// Of a sweep of open-loop loads: the rate with the highest goodput.
    Knee,
    /// Of an open-loop load: requests per second that met the SLO.
    Goodput,
    /// Of an open-loop load: the 99th percentile of the time to the first token.
    TtftP99,
    /// Of an open-loop load: the 99th percentile of the mean gaps of the responses.
    MeanGapP99,
    /// Of an open-loop load: the 99th percentile of the longest gaps of the responses.
    LongestGapP99,
    /// Of an open-loop load: the 99th percentile of the time to the end of the response.
    TotalP99,
    /// Of live traffic: tokens per second of one stream while it decodes, at the same numbers of streams on both sides.
    StreamRate,
    /// Of live traffic without counts of tokens: records per second of one stream, likewise.
    RecordRate,
}

impl Measure {
    /// All measures of runs of agents.
    pub(crate) const ALL: [Measure; 18] = [
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
        Measure::JoulesPerToken,
        Measure::Watts,
    ];

    /// The measures by which two conditions are compared.
    pub(crate) const COMPARED: [Measure; 9] = [
        Measure::TrueEfficiency,
        Measure::OverlapEfficiency,
        Measure::Throughput,
        Measure::FirstToken,
        Measure::GapP99,
        Measure::LagP99,
        Measure::ChunksPerSecond,
        Measure::CpuPerToken,
        Measure::JoulesPerToken,
    ];

    /// The measures of open-loop loads and of their sweeps.
    #[cfg(feature = "experiment")]
    pub(crate) const OPEN: [Measure; 7] = [
        Measure::HeldRate,
        Measure::Knee,
        Measure::Goodput,
        Measure::TtftP99,
        Measure::MeanGapP99,
        Measure::LongestGapP99,
        Measure::TotalP99,
    ];

    /// The measures that the advice and the verdicts use. Their comparisons are one family of hypotheses.
    pub(crate) const DECIDING: [Measure; 14] = [
        Measure::TrueEfficiency,
        Measure::Throughput,
        Measure::FirstToken,
        Measure::LagP99,
        Measure::CpuPerToken,
        Measure::HeldRate,
        Measure::Knee,
        Measure::Goodput,
        Measure::TtftP99,
        Measure::MeanGapP99,
        Measure::LongestGapP99,
        Measure::TotalP99,
        Measure::StreamRate,
        Measure::RecordRate,
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
            Measure::JoulesPerToken => "energy per token",
            Measure::Watts => "power",
            Measure::HeldRate => "highest rate that held the SLO",
            Measure::Knee => "knee",
            Measure::Goodput => "goodput",
            Measure::TtftP99 => "TTFT p99",
            Measure::MeanGapP99 => "mean gap p99",
            Measure::LongestGapP99 => "longest gap p99",
            Measure::TotalP99 => "total time p99",
            Measure::StreamRate => "tokens per second of a stream at the same concurrency",
            Measure::RecordRate => "records per second of a stream at the same concurrency",
        }
    }

    /// Returns whether a larger value is better. `None`: neither is.
    #[must_use]
    pub(crate) fn more_is_better(self) -> Option<bool> {
        match self {
            Measure::TrueEfficiency
            | Measure::TrueSpeedup
            | Measure::Throughput
            | Measure::HeldRate
            | Measure::Knee
            | Measure::Goodput
            | Measure::StreamRate
            | Measure::RecordRate => Some(true),
            Measure::Wall
            | Measure::FirstToken
            | Measure::GapP50
            | Measure::GapP99
            | Measure::LagMean
            | Measure::LagP99
            | Measure::ParseMean
            | Measure::CpuPerToken
            | Measure::JoulesPerToken
            | Measure::TtftP99
            | Measure::MeanGapP99
            | Measure::LongestGapP99
            | Measure::TotalP99 => Some(false),
            Measure::OverlapEfficiency
            | Measure::OverlapSpeedup
            | Measure::Balance
            | Measure::ThroughputDelta
            | Measure::ChunksPerSecond
            | Measure::Watts => None,
        }
    }

    /// Formats a value, or a difference of two values, for people.
    #[must_use]
    pub(crate) fn show(self, value: f64) -> String {
        let (number, unit) = self.parts(value, value);
        number + unit
    }

    /// Formats a value in the unit of a larger one, as a number and its unit.
    fn parts(self, value: f64, largest: f64) -> (String, &'static str) {
        match self {
            Measure::TrueEfficiency | Measure::OverlapEfficiency => (fixed(100.0 * value, 1), " %"),
            Measure::TrueSpeedup | Measure::OverlapSpeedup | Measure::Balance => (fixed(value, 3), ""),
            Measure::Throughput | Measure::ThroughputDelta | Measure::StreamRate => {
                (fixed(value, 1), " tok/s")
            }
            Measure::RecordRate => (fixed(value, 1), " records/s"),
            Measure::ChunksPerSecond => (fixed(value, 1), "/s"),
            Measure::HeldRate | Measure::Knee | Measure::Goodput => (fixed(value, 2), "/s"),
            Measure::JoulesPerToken => (fixed(value, 3), " J"),
            Measure::Watts => (fixed(value, 1), " W"),
            Measure::Wall
            | Measure::CpuPerToken
            | Measure::ParseMean
            | Measure::FirstToken
            | Measure::GapP50
            | Measure::GapP99
            | Measure::LagMean
            | Measure::LagP99
            | Measure::TtftP99
            | Measure::MeanGapP99
            | Measure::LongestGapP99
            | Measure::TotalP99 => time(value, largest),
        }
    }

    /// Formats the ends of an interval, without the unit, in the unit of the value that is shown beside it.
    #[must_use]
    pub(crate) fn range(self, interval: Interval, beside: f64) -> (String, String) {
        (self.parts(interval.low, beside).0, self.parts(interval.high, beside).0)
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

    /// Whether its values are relative to the solo runs.
    pub(super) fn is_relative(self) -> bool {
        matches!(self, Measure::TrueEfficiency | Measure::TrueSpeedup)
    }

    /// Returns a difference of two values as text. A difference of efficiencies is in percentage points.
    #[must_use]
    pub(crate) fn show_difference(self, difference: f64) -> String {
        self.show_difference_in(difference, difference)
    }

    /// Returns a difference as text, in the unit of a larger value beside it.
    #[must_use]
    pub(crate) fn show_difference_in(self, difference: f64, largest: f64) -> String {
        let (number, unit) = self.parts(difference, largest);
        match self {
            Measure::TrueEfficiency | Measure::OverlapEfficiency => number + " points",
            _ => number + unit,
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
            Measure::JoulesPerToken => {
                run.joules.filter(|_| run.tokens > 0).map(|joules| joules / run.tokens as f64)
            }
            Measure::Watts => run.joules.map(|joules| joules / run.wall),
            // Runs of an open-loop load and of live traffic have no summary.
            Measure::HeldRate
            | Measure::Knee
            | Measure::Goodput
            | Measure::TtftP99
            | Measure::MeanGapP99
            | Measure::LongestGapP99
            | Measure::TotalP99
            | Measure::StreamRate
            | Measure::RecordRate => None,
        }
    }
}

/// Formats a time in the unit of a larger one, with three digits for that one: `10.4 s`, `622 ms`, `93.5 µs`.
fn time(value: f64, largest: f64) -> (String, &'static str) {
    let (scale, unit) = match largest.abs() {
        seconds if seconds >= 0.9995 => (1.0, " s"),
        seconds if seconds >= 0.000_999_5 || seconds == 0.0 => (1e3, " ms"),
        _ => (1e6, " µs"),
    };
    let decimals = match scale * largest.abs() {
        large if large >= 99.95 => 0,
        large if large >= 9.995 => 1,
        _ => 2,
    };
    (fixed(scale * value, decimals), unit)
}

/// Formats a number with this many decimals. A value that rounds to zero has no sign.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|sign| matches!(sign, '0' | '.')) => digits.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measure_that_rounds_to_zero_has_no_sign() {
        for tiny in [-1e-12, -0.0, 0.0] {
            assert_eq!(Measure::TrueEfficiency.show(tiny), "0.0 %");
            assert_eq!(Measure::TrueEfficiency.show_difference(tiny), "0.0 points");
            assert_eq!(Measure::Throughput.show(tiny), "0.0 tok/s");
            assert!(
                Measure::FirstToken.show(tiny).starts_with("0.00 "),
                "{}",
                Measure::FirstToken.show(tiny)
            );
        }
        assert_eq!(Measure::Throughput.show(-0.06), "-0.1 tok/s");
    }

    #[test]
    fn time_is_shown_in_the_unit_that_leaves_three_digits() {
        let show = |seconds| Measure::FirstToken.show(seconds);
        assert_eq!(show(10.417_68), "10.4 s");
        assert_eq!(show(1.0), "1.00 s");
        assert_eq!(show(0.9996), "1.00 s");
        assert_eq!(show(-0.622), "-622 ms");
        assert_eq!(show(0.0021), "2.10 ms");
        assert_eq!(show(0.0), "0.00 ms");
        assert_eq!(Measure::CpuPerToken.show(332e-6), "332 µs");
        assert_eq!(Measure::CpuPerToken.show(0.003_047), "3.05 ms");
        // The ends of an interval have the unit of the value beside them.
        let interval = Interval { low: 0.9, high: 1.3, level: 0.95 };
        assert_eq!(Measure::FirstToken.range(interval, 1.1), ("0.90".into(), "1.30".into()));
    }
}
