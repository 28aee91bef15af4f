//! Why a request is not let in.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};

use super::Allowance;
use crate::protocol::Route;

/// Why a request is not let in. It never says what key was shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A key is required and none is shown.
    #[error("a key is required: send `Authorization: Bearer KEY`")]
    NoKey,
    /// A key is required and this is none of ours.
    #[error("this key is not known here")]
    UnknownKey,
    /// Two keys that differ.
    #[error("the request has two keys that differ: send one")]
    SeveralKeys,
    /// The route is closed, for all or for this caller.
    #[error("{} is not open to this caller", .0.label())]
    Route(Route),
    /// Too many requests.
    #[error("too many requests: try again in {} s", seconds(*.wait))]
    Requests {
        /// Until the next one is let in.
        wait: Duration,
        /// What is left.
        allowances: Allowances,
    },
    /// Earlier requests took more tokens than there were.
    #[error("too many tokens: try again in {} s", seconds(*.wait))]
    Tokens {
        /// Until the debt is paid back.
        wait: Duration,
        /// What is left.
        allowances: Allowances,
    },
    /// The queue is full.
    #[error("the queue is full: try again in {} s", seconds(*.wait))]
    QueueFull {
        /// A guess of when it is not.
        wait: Duration,
    },
    /// The request waited for `queue.timeout` without getting a slot.
    #[error("no slot became free in time: try again in {} s", seconds(*.wait))]
    QueueTimeout {
        /// A guess of when one is.
        wait: Duration,
    },
}

impl Refusal {
    /// The status that says so.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Refusal::NoKey | Refusal::UnknownKey | Refusal::SeveralKeys => StatusCode::UNAUTHORIZED,
            Refusal::Route(_) => StatusCode::FORBIDDEN,
            Refusal::Requests { .. } | Refusal::Tokens { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::QueueFull { .. } | Refusal::QueueTimeout { .. } => StatusCode::SERVICE_UNAVAILABLE,
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
            Refusal::Requests { .. } => "requests",
            Refusal::Tokens { .. } => "tokens",
            Refusal::QueueFull { .. } => "queue_full",
            Refusal::QueueTimeout { .. } => "queue_timeout",
        }
    }

    /// Whole seconds after which trying again makes sense.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::Requests { wait, .. }
            | Refusal::Tokens { wait, .. }
            | Refusal::QueueFull { wait }
            | Refusal::QueueTimeout { wait } => Some(seconds(*wait)),
            _ => None,
        }
    }

    /// Adds `Retry-After`, `x-ratelimit-*` and `WWW-Authenticate`, where they belong.
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

/// A client that waits as many seconds has waited at least that long.
const fn seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs();
    if wait.subsec_nanos() > 0 || whole == 0 { whole.saturating_add(1) } else { whole }
}

/// What is left of a caller's quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Of requests.
    pub requests: Option<Allowance>,
    /// Of tokens.
    pub tokens: Option<Allowance>,
}

impl Allowances {
    /// The caller has no quota.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }

    /// Adds the fields that OpenAI's clients read.
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
