//! The reasons to refuse a request.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};

use super::Allowance;
use crate::{protocol::Route, store::Rest};

/// The reason to refuse a request. It never contains the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A key is required, and the request has none.
    #[error("a key is required: send it as `Authorization: Bearer KEY`")]
    NoKey,
    /// A key is required, and the request has an unknown one.
    #[error("the key is not known: send a key of the sidecar's configuration")]
    UnknownKey,
    /// The request has two different keys.
    #[error("the request has two different keys: send one")]
    SeveralKeys,
    /// The route is closed, for all callers or for this one.
    #[error("the route {} is not open to this caller", .0.label())]
    Route(Route),
    /// The model is not among those of the caller. The text is the same whether an upstream has the model or not.
    #[error("model '{0}' not found: this key may not use it")]
    Model(String),
    /// The caller may use only some models, and the request names none.
    #[error("the request names no model, and this key may use only some models")]
    NoModel,
    /// The caller may use only some models, and the request was not read to its end.
    #[error(
        "the request is too large or its coding is unknown, so that its model cannot be checked, and this key may use only some models"
    )]
    UnreadModel,
    /// The caller's request quota is used up.
    #[error("too many requests: try again in {} s", seconds(*.wait))]
    Requests {
        /// The time until the next request is admitted.
        wait: Duration,
        /// The rest of the caller's quotas.
        allowances: Allowances,
    },
    /// The caller's token quota is used up by earlier requests.
    #[error("too many tokens: try again in {} s", seconds(*.wait))]
    Tokens {
        /// The time until the debt is paid back.
        wait: Duration,
        /// The rest of the caller's quotas.
        allowances: Allowances,
    },
    /// The caller's limits are shared with other sidecars, their store does not answer, and the caller's `on_failure`
    /// is `closed`.
    #[error("the limits of this caller cannot be checked now: try again in {} s", seconds(*.wait))]
    Unchecked {
        /// The time after which the store is likely to answer again.
        wait: Duration,
    },
    /// The queue is full.
    #[error("the queue is full: try again in {} s", seconds(*.wait))]
    QueueFull {
        /// An estimate of when it has room.
        wait: Duration,
    },
    /// The request waited for `queue.timeout` without getting a slot.
    #[error("no slot became free in time: try again in {} s", seconds(*.wait))]
    QueueTimeout {
        /// An estimate of when a slot becomes free.
        wait: Duration,
    },
}

impl Refusal {
    /// The HTTP status of the refusal.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Refusal::NoKey | Refusal::UnknownKey | Refusal::SeveralKeys => StatusCode::UNAUTHORIZED,
            Refusal::Route(_) => StatusCode::FORBIDDEN,
            Refusal::Model(_) | Refusal::NoModel => StatusCode::NOT_FOUND,
            Refusal::UnreadModel => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Requests { .. } | Refusal::Tokens { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Unchecked { .. } | Refusal::QueueFull { .. } | Refusal::QueueTimeout { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The value of the label `reason`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Refusal::NoKey => "no_key",
            Refusal::UnknownKey => "unknown_key",
            Refusal::SeveralKeys => "several_keys",
            Refusal::Route(_) => "route",
            Refusal::Model(_) | Refusal::NoModel | Refusal::UnreadModel => "model",
            Refusal::Requests { .. } => "requests",
            Refusal::Tokens { .. } => "tokens",
            Refusal::Unchecked { .. } => "shared",
            Refusal::QueueFull { .. } => "queue_full",
            Refusal::QueueTimeout { .. } => "queue_timeout",
        }
    }

    /// Whole seconds after which the client should try again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::Requests { wait, .. }
            | Refusal::Tokens { wait, .. }
            | Refusal::Unchecked { wait }
            | Refusal::QueueFull { wait }
            | Refusal::QueueTimeout { wait } => Some(seconds(*wait)),
            _ => None,
        }
    }

    /// Adds `Retry-After`, `x-ratelimit-*` and `WWW-Authenticate`, as the reason needs them.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Refusal::Requests { allowances, .. } | Refusal::Tokens { allowances, .. } = self {
            allowances.write(headers);
        }
    }
}

/// Rounds up, so that a client that waits this many seconds has waited long enough.
const fn seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs();
    if wait.subsec_nanos() > 0 || whole == 0 { whole.saturating_add(1) } else { whole }
}

/// The rest of a caller's quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// The request quota.
    pub requests: Option<Allowance>,
    /// The token quota.
    pub tokens: Option<Allowance>,
}

impl Allowances {
    /// The rest of shared rates.
    pub(super) fn of(rests: [Option<Rest>; 2]) -> Allowances {
        let [requests, tokens] = rests.map(|rest| {
            let Rest { limit, remaining, reset } = rest?;
            Some(Allowance { limit, remaining, reset })
        });
        Allowances { requests, tokens }
    }

    /// Whether the caller has no quota.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }

    /// Adds the header fields that OpenAI's clients read.
    pub fn write(&self, headers: &mut HeaderMap) {
        let names = [
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        ];
        for (allowance, [limit, remaining, reset]) in [self.requests, self.tokens].iter().zip(names) {
            let Some(allowance) = allowance else { continue };
            headers.insert(HeaderName::from_static(limit), allowance.limit.into());
            headers.insert(HeaderName::from_static(remaining), allowance.remaining.into());
            let text = format!("{}ms", allowance.reset.as_millis());
            let value = HeaderValue::try_from(text).expect("digits and letters");
            headers.insert(HeaderName::from_static(reset), value);
        }
    }
}
