//! How a request ended.

use std::time::Duration;

use http::StatusCode;

use crate::protocol::{Route, Usage};

/// How a request ended, decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// At its end: with the dialect's terminal record if it was a stream.
    Complete,
    /// A 200 stream whose last record is an error.
    InBandError,
    /// A stream that ended cleanly with no terminal record.
    Truncated,
    /// Another 5xx from Ollama, or no answer that makes sense.
    UpstreamError,
    /// 4xx or 501 from Ollama, or ours for a malformed request.
    ClientError,
    /// The client left first.
    ClientAbort,
    /// Admission said no, or the sidecar was draining.
    Refused,
}

/// What a finished request was: for a log line, or for whoever charges its tokens. Never its content.
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
    /// How it ended.
    pub outcome: Outcome,
    /// The status sent to the client, if one was.
    pub status: Option<StatusCode>,
    /// From accept to the end.
    pub duration: Duration,
    /// From accept to the first content record of a stream.
    pub first_token: Option<Duration>,
    /// Content records that arrived.
    pub content_records: u64,
    /// What Ollama told of its cost.
    pub usage: Usage,
    /// Tokens of its prompt, estimated from its bytes, if it was sent. A guess: for limits, and for no metric.
    pub prompt_estimate: u64,
    /// Tokens of the model's context, if an upstream told them: no prompt has more.
    pub context: Option<u64>,
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

    /// Its place in [`Outcome::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The value of the label `outcome`.
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

    /// The request failed by no doing of its client: an upstream answered wrong or not at all.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Outcome::InBandError | Outcome::Truncated | Outcome::UpstreamError)
    }

    /// The outcome of a request with this status in words, for a person who looks at a failure.
    #[must_use]
    pub fn reason(self, status: Option<StatusCode>) -> &'static str {
        match self {
            Outcome::Complete => "the response is complete",
            Outcome::InBandError => "Ollama reported an error inside the stream",
            Outcome::Truncated => "the stream ended without its last record",
            Outcome::UpstreamError if status.is_some_and(|status| status.is_success()) => {
                "the connection to the upstream broke during the response"
            }
            Outcome::UpstreamError => "the upstream sent an error or no valid response",
            Outcome::ClientError => "the request is wrong",
            Outcome::ClientAbort => "the client disconnected",
            Outcome::Refused => "the sidecar refused the request",
        }
    }

    /// The outcome that a status alone decides; `None` for 1xx to 3xx. 501 says that the model cannot do what the request
    /// asks for, as an embedding of a model that generates: that is the client's doing.
    #[must_use]
    pub const fn of_status(status: StatusCode) -> Option<Outcome> {
        match status.as_u16() {
            400..=499 | 501 => Some(Outcome::ClientError),
            500..=599 => Some(Outcome::UpstreamError),
            _ => None,
        }
    }
}
