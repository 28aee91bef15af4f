//! The outcome of a request.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::StatusCode;

use super::{ModelLoad, RequestId, TimedStep, Timeline, TraceParent};
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
    /// The request got no valid response after the program had sent its own head
    /// ([`Meter::responded_early`](super::Meter::responded_early)). The client got the error as an event.
    LateError,
}

/// The result of a finished request, for a log line or for accounting. It has no content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ending {
    /// The id of the request.
    pub id: RequestId,
    /// Its caller, if the program reported it.
    pub caller: Option<Arc<str>>,
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
    /// The time that the request waited in the program's own queue, if it waited there.
    pub queue_wait: Option<Duration>,
    /// Whether the upstream took the whole request.
    pub was_sent: bool,
    /// The time that a stream waited inside Ollama, which no duration of its final record includes, if it is known.
    pub hidden_queue: Option<Duration>,
    /// The mean time between the content records that came on time, if there were at least two.
    pub record_interval: Option<Duration>,
    /// The median gap between chunks at the upstream, if it is known, with an error of at most a tenth from 1 ms to 1 s.
    pub gap_p50: Option<Duration>,
    /// The 99th percentile of these gaps, with the same accuracy.
    pub gap_p99: Option<Duration>,
    /// The summed time in which the client did not read data that was there.
    pub client_wait: Duration,
    /// Whether the request exceeded one of [`SlowLimits`](super::SlowLimits).
    pub is_slow: bool,
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
    /// Whether the response was a stream, read record by record.
    pub is_streamed: bool,
    /// The times of its records.
    pub timeline: Timeline,
    /// The steps on its way to an upstream, if [`Measurement::keep_steps`](super::Measurement::keep_steps) was called.
    pub steps: Vec<TimedStep>,
    /// The trace to which the request belongs, if [`Measurement::traced`](super::Measurement::traced) reported it.
    pub trace: Option<TraceParent>,
}

impl Ending {
    /// Whether the request got its whole response.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }

    /// Whether the request failed for a reason other than its client: the upstream answered wrongly or not at all, or the
    /// program refused the request because it had no room or no time for it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let is_clients = self.status.is_some_and(|status| status.is_client_error());
        self.outcome.is_failure() || (self.outcome == Outcome::Refused && !is_clients)
    }

    /// Describes why the request failed: the reported explanation, the status of the upstream, or the outcome. Of a
    /// request that was only slow, describes where its time went.
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match (&self.explanation, self.outcome, self.status) {
            (Some(explanation), ..) => Cow::Borrowed(explanation),
            (None, Outcome::UpstreamError, Some(status)) if !status.is_success() => {
                Cow::Owned(format!("the upstream answered {}", status.as_u16()))
            }
            (None, Outcome::Complete | Outcome::ClientAbort, _) if self.is_slow => {
                Cow::Owned(self.slowness())
            }
            (None, outcome, status) => Cow::Borrowed(outcome.reason(status)),
        }
    }
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 8] = [
        Outcome::Complete,
        Outcome::InBandError,
        Outcome::Truncated,
        Outcome::UpstreamError,
        Outcome::ClientError,
        Outcome::ClientAbort,
        Outcome::Refused,
        Outcome::LateError,
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
            Outcome::LateError => "late_error",
        }
    }

    /// Whether the request failed for a reason other than its client: the upstream answered wrongly or not at all. The
    /// reason of a late error is not told apart, so it counts as a failure.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Outcome::InBandError | Outcome::Truncated | Outcome::UpstreamError | Outcome::LateError
        )
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
            Outcome::LateError => "the request failed after keep-alive lines were sent",
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
