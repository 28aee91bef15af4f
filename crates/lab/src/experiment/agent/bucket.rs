//! Token buckets: one that keeps its rate, and that of TR117, which does not.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// Lets tokens pass at a rate.
#[derive(Debug)]
pub(crate) enum Bucket {
    /// Each token has a time at which it is due. After a delay, at most one token is made up for.
    Right {
        /// The time between two tokens.
        every: Duration,
        /// The time at which the next token may pass.
        due: Instant,
    },
    /// The bucket of TR117, 2.4. After it has waited for a token, it sets its tokens to 0 but keeps the time from
    /// before the wait. The time of the wait therefore counts twice, and twice the rate passes.
    Leaky {
        /// Tokens per second.
        rate: f64,
        /// Available tokens.
        tokens: f64,
        /// The time at which they were counted.
        updated: Instant,
    },
}

impl Bucket {
    /// Creates an empty bucket with this many tokens per second.
    #[must_use]
    pub(crate) fn right(rate: f64) -> Bucket {
        Bucket::Right { every: Duration::from_secs_f64(rate.recip()), due: Instant::now() }
    }

    /// Creates the bucket of TR117.
    #[must_use]
    pub(crate) fn leaky(rate: f64) -> Bucket {
        Bucket::Leaky { rate, tokens: 0.0, updated: Instant::now() }
    }

    /// Waits until this many tokens may pass.
    pub(crate) async fn acquire(&mut self, amount: u32) {
        match self {
            Bucket::Right { every, due } => {
                // A timer wakes up to a millisecond late. Without this credit, that time would be lost for each
                // token.
                let credit = Instant::now().checked_sub(*every).unwrap_or(*due);
                *due = (*due).max(credit) + *every * amount;
                sleep_until(*due).await;
            }
            Bucket::Leaky { rate, tokens, updated } => {
                let (now, amount) = (Instant::now(), f64::from(amount));
                *tokens += (now - *updated).as_secs_f64() * *rate;
                *updated = now;
                if *tokens < amount {
                    let wait = (amount - *tokens) / *rate;
                    sleep(Duration::from_secs_f64(wait)).await;
                    *tokens = 0.0;
                } else {
                    *tokens -= amount;
                }
            }
        }
    }
}
