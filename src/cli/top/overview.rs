//! The part of `/overview` that the panel shows.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

/// The most points that are kept: an hour at one every ten seconds.
const MOST_POINTS: usize = 360;

/// One response of `/overview`. Fields that an older sidecar does not send are empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) version: String,
    pub(super) draining: bool,
    /// The time when the history began, in milliseconds since 1970. It differs for another process.
    pub(super) began: Option<u64>,
    /// The number of the last point.
    pub(super) last: u64,
    columns: Vec<String>,
    points: VecDeque<Vec<Option<f64>>>,
    /// The last ten seconds, which end later than the newest of `points`.
    now: Option<Vec<Option<f64>>>,
    pub(super) upstreams: Vec<OverviewUpstream>,
    pub(super) streams: Streams,
    pub(super) totals: OverviewTotals,
    /// The last requests that failed or were slow, the newest first.
    pub(super) requests: Vec<NotedRow>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OverviewUpstream {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) alive: bool,
    /// Why it does not answer.
    pub(super) why: Option<String>,
    /// Its requests have been silent for longer than is usual.
    pub(super) wedged: bool,
    pub(super) version: Option<String>,
    pub(super) loaded: Option<Vec<String>>,
    /// The limit of its streams that was found, and the reason for it.
    pub(super) found_limit: Option<u64>,
    pub(super) found_limit_reason: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Streams {
    pub(super) running: u64,
    pub(super) decoding: u64,
    /// The oldest of the streams.
    pub(super) shown: Vec<RunningStream>,
    /// The number of all running streams, by the label of the model.
    pub(super) by_model: BTreeMap<String, u64>,
    /// The number of all running streams, by the label of the upstream.
    pub(super) by_upstream: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunningStream {
    pub(super) route: String,
    pub(super) model: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) caller: Option<String>,
    /// Its position among the requests that wait in the sidecar, from 1.
    pub(super) queue_position: Option<u64>,
    pub(super) queue_expected_seconds: Option<f64>,
    pub(super) age_seconds: f64,
    pub(super) decoding: bool,
    /// Its prompt does not fit into the context.
    pub(super) overlong_prompt: bool,
    pub(super) tokens: u64,
    pub(super) time_to_first_token_seconds: Option<f64>,
    pub(super) gap_p50_seconds: Option<f64>,
    pub(super) gap_p99_seconds: Option<f64>,
}

/// Counts since the start of the sidecar.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OverviewTotals {
    pub(super) models: Vec<OverviewCounts>,
    pub(super) upstreams: Vec<OverviewCounts>,
    pub(super) callers: Vec<OverviewCounts>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OverviewCounts {
    pub(super) name: String,
    pub(super) requests: f64,
    pub(super) failed: f64,
    pub(super) refused: f64,
    pub(super) prompt_tokens: f64,
    pub(super) output_tokens: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NotedRow {
    pub(super) ago_seconds: f64,
    pub(super) model: String,
    pub(super) upstream: String,
    pub(super) reason: String,
    /// Why the model stopped.
    pub(super) finish: Option<String>,
    /// Ollama probably cut the prompt.
    pub(super) prompt_cut: bool,
    pub(super) status: Option<u16>,
}

impl Overview {
    /// Replaces an earlier response. If both are of one process, the points of the earlier one are kept before the
    /// new ones.
    pub(super) fn follow(mut self, earlier: Option<Overview>) -> Overview {
        if let Some(earlier) = earlier.filter(|earlier| earlier.began == self.began) {
            let new = usize::try_from(self.last.saturating_sub(earlier.last)).unwrap_or(usize::MAX);
            let known = self.points.len().saturating_sub(new);
            let mut points = earlier.points;
            points.extend(self.points.drain(..).skip(known));
            self.points = points;
        }
        while self.points.len() > MOST_POINTS {
            self.points.pop_front();
        }
        self
    }

    /// The query that asks for the points after these.
    pub(super) fn query(&self) -> Option<String> {
        self.began.map(|began| format!("began={began}&after={}", self.last))
    }

    /// A column of the points and of now, oldest first. A missing value is 0.
    pub(super) fn column(&self, name: &str) -> Vec<f64> {
        let Some(at) = self.columns.iter().position(|column| column == name) else { return Vec::new() };
        let points = self.points.iter().chain(&self.now);
        points.map(|point| point.get(at).copied().flatten().unwrap_or_default()).collect()
    }

    /// The value of a column now, if there is one.
    pub(super) fn newest(&self, name: &str) -> Option<f64> {
        let at = self.columns.iter().position(|column| column == name)?;
        self.now.as_ref().or(self.points.back())?.get(at).copied().flatten()
    }
}
