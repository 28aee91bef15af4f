//! The limits that sidecars share, and the policy for requests while the store does not answer.

/// How a request is decided while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// By this sidecar alone, with its share: the limits divided by the number of sidecars that the store knew last.
    #[default]
    Local,
    /// It is admitted. `max_streams` applies to each sidecar alone.
    Open,
    /// It is refused with 503.
    Closed,
}

impl OnFailure {
    /// The word in the configuration and in the label `mode`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            OnFailure::Local => "local",
            OnFailure::Open => "open",
            OnFailure::Closed => "closed",
        }
    }
}

/// A rate that the sidecars share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// The number in each period.
    pub(crate) count: u32,
    /// The period in microseconds.
    pub(crate) per: u64,
    /// How many may come at once.
    pub(crate) burst: u32,
}

/// The limits of a caller that the sidecars share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) requests: Option<Rate>,
    pub(crate) tokens: Option<Rate>,
    pub(crate) max_streams: Option<usize>,
}

impl Shares {
    /// Whether there is nothing to share.
    pub(crate) const fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none() && self.max_streams.is_none()
    }
}
