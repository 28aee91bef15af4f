//! The outcome of a request.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use super::{ModelLoad, TraceParent};
use crate::protocol::{FinishReason, Route, Usage};

/// The outcome of a request, decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The response ended, with the dialect's terminal record if it was a stream.
    Complete,
    /// A stream with status 200 whose last record is an error.
    InBandError,
    /// A stream that ended cleanly without a terminal record.
    Truncated,
    /// Another 5xx from Ollama, or no valid response.
    UpstreamError,
    /// 4xx or 501 from Ollama, or the sidecar's own response to a malformed request.
    ClientError,
    /// The client left before the end.
    ClientAbort,
    /// Admission refused the request, or the deadline of a drain cut it.
    Refused,
}

/// The result of a finished request, for a log line or for accounting. It has no content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ending {
    /// Number of the request in this process.
    pub id: u64,
    /// Its route.
    pub route: Route,
    /// The label of its model.
    pub model: String,
    /// The label of its upstream.
    pub upstream: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The status that was sent to the client, if any.
    pub status: Option<StatusCode>,
    /// Why the model stopped. `None`: the response did not state it, or was no generation.
    pub finish: Option<FinishReason>,
    /// The load of the model that this request reported.
    pub load: Option<ModelLoad>,
    /// The bytes of the request that may be prompt, as far as they were read.
    pub prompt_bytes: u64,
    /// Whether Ollama probably cut the prompt, because it did not fit into the context.
    pub is_prompt_cut: bool,
    /// The time from accept to the end.
    pub duration: Duration,
    /// The time from accept to the first content record of a stream.
    pub first_token: Option<Duration>,
    /// The time that a stream waited inside Ollama, which no duration of its final record includes, if it is known.
    pub hidden_queue: Option<Duration>,
    /// The mean time between the content records that came on time, if there were at least two.
    pub record_interval: Option<Duration>,
    /// Content records that arrived.
    pub content_records: u64,
    /// The reported counts and durations.
    pub usage: Usage,
    /// The tokens of its prompt, estimated from its bytes, if it was sent. The estimate is for limits only, not for
    /// metrics.
    pub prompt_estimate: u64,
    /// The tokens of the model's context, if an upstream reported them. No prompt has more.
    pub context: Option<u64>,
    /// The cause that [`Measurement::failure_explained`](super::Measurement::failure_explained) reported.
    pub explanation: Option<String>,
    /// The trace to which the request belongs, if [`Measurement::traced`](super::Measurement::traced) reported it.
    pub trace: Option<TraceParent>,
}

impl Ending {
    /// Describes why the request failed: the reported explanation, the status of the upstream, or the outcome.
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match (&self.explanation, self.outcome, self.status) {
            (Some(explanation), ..) => Cow::Borrowed(explanation),
            (None, Outcome::UpstreamError, Some(status)) if !status.is_success() => {
                Cow::Owned(format!("the upstream answered {}", status.as_u16()))
            }
            (None, outcome, status) => Cow::Borrowed(outcome.reason(status)),
        }
    }
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 7] = [
        Outcome::Complete,
        Outcome::InBandError,
        Outcome::Truncated,
        Outcome::UpstreamError,
        Outcome::ClientError,
        Outcome::ClientAbort,
        Outcome::Refused,
    ];

    /// Returns its index in [`Outcome::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Returns the value of the label `outcome`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::InBandError => "in_band_error",
            Outcome::Truncated => "truncated",
            Outcome::UpstreamError => "upstream_error",
            Outcome::ClientError => "client_error",
            Outcome::ClientAbort => "client_abort",
            Outcome::Refused => "refused",
        }
    }

    /// Whether the request failed for a reason other than its client: the upstream answered wrongly or not at all.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Outcome::InBandError | Outcome::Truncated | Outcome::UpstreamError)
    }

    /// Describes the outcome of a request with this status, for people who look at a failure.
    #[must_use]
    pub fn reason(self, status: Option<StatusCode>) -> &'static str {
        match self {
            Outcome::Complete => "the response is complete",
            Outcome::InBandError => "Ollama reported an error inside the stream",
            Outcome::Truncated => "the stream ended without its last record",
            Outcome::UpstreamError if status.is_some_and(|status| status.is_success()) => {
                "the connection broke during the response"
            }
            Outcome::UpstreamError => "the upstream sent an error or no valid response",
            Outcome::ClientError => "the request is wrong",
            Outcome::ClientAbort => "the client disconnected",
            Outcome::Refused => "the sidecar refused the request",
        }
    }

    /// Returns the outcome that a status alone decides. `None` for 1xx to 3xx. 501 means that the model cannot do
    /// what the request asks for, such as an embedding from a model that only generates, so it is a `ClientError`.
    #[must_use]
    pub const fn of_status(status: StatusCode) -> Option<Outcome> {
        match status.as_u16() {
            400..=499 | 501 => Some(Outcome::ClientError),
            500..=599 => Some(Outcome::UpstreamError),
            _ => None,
        }
    }
}
