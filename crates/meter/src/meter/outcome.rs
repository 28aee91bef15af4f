//! How a request ended.

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
    pub fn reason(self, status: Option<http::StatusCode>) -> &'static str {
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
    pub const fn of_status(status: http::StatusCode) -> Option<Outcome> {
        match status.as_u16() {
            400..=499 | 501 => Some(Outcome::ClientError),
            500..=599 => Some(Outcome::UpstreamError),
            _ => None,
        }
    }
}
