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
