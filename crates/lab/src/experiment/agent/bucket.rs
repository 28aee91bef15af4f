//! Token buckets: one that holds its rate, and the report's, which does not.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// Lets tokens through at a rate.
#[derive(Debug)]
pub enum Bucket {
    /// Each token has its moment; of what comes late no more than one is made up for.
    Right {
        /// Between two tokens.
        every: Duration,
        /// When the next one may pass.
        due: Instant,
    },
    /// Technical Report 117, 2.4: after it has waited for a token it sets itself to 0 but leaves the clock where it was before
    /// the wait, so the time of the wait counts once more, and twice the rate comes through.
    Leaky {
        /// Tokens a second.
        rate: f64,
        /// Tokens at hand.
        tokens: f64,
        /// When they were counted.
        updated: Instant,
    },
}

impl Bucket {
    /// A bucket of so many tokens a second that is empty.
    #[must_use]
    pub fn right(rate: f64) -> Bucket {
        Bucket::Right { every: Duration::from_secs_f64(rate.recip()), due: Instant::now() }
    }

    /// The report's.
    #[must_use]
    pub fn leaky(rate: f64) -> Bucket {
        Bucket::Leaky { rate, tokens: 0.0, updated: Instant::now() }
    }

    /// Waits until so many tokens may pass.
    pub async fn acquire(&mut self, amount: u32) {
        match self {
            Bucket::Right { every, due } => {
                // A timer wakes late by up to a millisecond: without that one token of credit each would be lost.
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
