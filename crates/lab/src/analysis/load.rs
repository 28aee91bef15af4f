//! The load of an open-loop run, and its objectives.

use serde::Serialize;

/// The load of a condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// The condition's name.
    pub condition: String,
    /// The name of its sweep. Conditions of one sweep differ only in the rate.
    pub series: Option<String>,
    /// Requests per second.
    pub rate: f64,
    /// How long requests arrive, in seconds.
    pub seconds: f64,
    /// A run is invalid if the generator sent more than one request in a hundred later than this, in seconds.
    pub lateness: f64,
    /// The objectives.
    pub slo: Slo,
    /// The recording that it comes from, if an analysis has several.
    #[serde(skip)]
    pub recording: u32,
}

/// Service level objectives, in seconds. `None`: there is no such objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Slo {
    /// The largest time from the scheduled time to the first token.
    pub ttft: Option<f64>,
    /// The largest mean gap between the chunks of a response.
    pub gap: Option<f64>,
    /// The largest single gap between two chunks of a response.
    pub stall: Option<f64>,
    /// The largest time from the scheduled time to the end of the response.
    pub total: Option<f64>,
    /// The share of the requests that has to meet all objectives.
    pub share: f64,
}
