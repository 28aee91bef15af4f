//! One request of an open-loop load.

use serde::Serialize;

use super::super::{Agent, Gaps, Load, Slo};

/// The beginning of the failure of a request that was not sent.
pub(crate) const NOT_SENT: &str = "not sent";

/// One request. Times are in seconds, and count from the time at which it was due.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Request {
    /// The time by which it was sent late.
    pub(super) late: f64,
    /// The time to the first token.
    pub(super) ttft: Option<f64>,
    /// The mean gap between its chunks or, if each token has a chunk of its own, the time per output token: the time from
    /// the first token to the end, divided by the number of tokens less one. `None`: it has fewer than two chunks.
    pub(super) gap: Option<f64>,
    /// The largest gap between its chunks.
    pub(super) stall: Option<f64>,
    /// The time to the end of the response.
    pub(super) total: f64,
    /// Whether it failed.
    pub(super) failed: bool,
    /// Whether it was not sent, because too many requests were outstanding.
    pub(super) not_sent: bool,
}

impl Request {
    /// Returns the request of an agent. Without a scheduled time, it was due when it was sent.
    #[must_use]
    pub fn of(agent: &Agent, gaps: Option<&Gaps>) -> Request {
        let late = agent.scheduled.map_or(0.0, |scheduled| (agent.started - scheduled).max(0.0));
        let gaps = gaps.filter(|gaps| gaps.count > 0);
        // The chunk that ends a response follows the last token at once, and has no token of its own.
        let tokens = agent.tokens.map_or(u32::MAX, |tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
        let between = |gaps: &Gaps| gaps.count.min(tokens.saturating_sub(1)).max(1);
        Request {
            late,
            ttft: agent.first_token.map(|first| late + first),
            gap: gaps.map(|gaps| gaps.sum / f64::from(between(gaps))),
            stall: gaps.map(|gaps| gaps.longest),
            total: late + agent.duration,
            failed: agent.failure.is_some(),
            not_sent: agent.failure.as_deref().is_some_and(|failure| failure.starts_with(NOT_SENT)),
        }
    }
}

/// One condition of an SLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Objective {
    /// A response without a failure.
    Answer,
    /// The time to the first token.
    Ttft,
    /// The mean gap.
    Gap,
    /// The largest gap.
    Stall,
    /// The time to the end of the response.
    Total,
}

impl Objective {
    /// Returns its name for a sentence.
    #[cfg(feature = "experiment")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Objective::Answer => "an answer without a failure",
            Objective::Ttft => "TTFT",
            Objective::Gap => "the mean gap",
            Objective::Stall => "the longest gap",
            Objective::Total => "the total time",
        }
    }
}

impl Slo {
    /// Returns the objectives that a request missed. A failed request misses [`Objective::Answer`].
    pub(super) fn missed(&self, request: &Request) -> Vec<Objective> {
        if request.failed {
            return vec![Objective::Answer];
        }
        let pairs = [
            (Objective::Ttft, self.ttft, request.ttft),
            (Objective::Gap, self.gap, request.gap),
            (Objective::Stall, self.stall, request.stall),
            (Objective::Total, self.total, Some(request.total)),
        ];
        // A response of one chunk has no gap. One without a token has not met an objective for the first.
        let misses = |(objective, limit, value): (Objective, Option<f64>, Option<f64>)| {
            let value = value.unwrap_or(if objective == Objective::Ttft { f64::INFINITY } else { 0.0 });
            limit.is_some_and(|limit| value > limit).then_some(objective)
        };
        pairs.into_iter().filter_map(misses).collect()
    }
}

/// A run is invalid if a larger share of its requests was sent later than the limit.
const LATE: f64 = 0.01;

impl Load {
    /// Returns the share of the requests that met all objectives. Without a request, it is 1.
    #[must_use]
    pub fn met(&self, requests: &[Request]) -> f64 {
        if requests.is_empty() { 1.0 } else { self.count_met(requests) as f64 / requests.len() as f64 }
    }

    /// Returns the number of the requests that met all objectives.
    pub(super) fn count_met(&self, requests: &[Request]) -> usize {
        requests.iter().filter(|request| self.slo.missed(request).is_empty()).count()
    }

    /// Whether the generator sent the requests in time.
    pub(super) fn is_valid(&self, requests: &[Request]) -> bool {
        let late = requests.iter().filter(|request| request.late > self.lateness).count();
        late as f64 <= LATE * requests.len() as f64
    }
}
