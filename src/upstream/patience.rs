//! The time limit for the next piece of a body.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Expires if no piece comes for the limit while the body is polled. Time without a poll does not count. A piece
/// does not re-arm the timer, which is moved only when it fires.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    waits_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// A timer with this limit; `None` for zero, which means no limit.
    pub(crate) fn of(limit: Duration) -> Option<Patience> {
        (!limit.is_zero()).then_some(Patience { limit, waits_since: None, timer: None })
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Notes a piece.
    pub(crate) fn came(&mut self) {
        self.waits_since = None;
    }

    /// Notes that no piece is there. Ready after the limit.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = *self.waits_since.get_or_insert_with(Instant::now) + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(over)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= over {
                return Poll::Ready(());
            }
            timer.as_mut().reset(over);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_after_its_limit_from_the_start_of_the_wait() {
        let limit = Duration::from_secs(10);
        let mut patience = Patience::of(limit).unwrap();
        for _ in 0..3 {
            assert!(poll_fn(|cx| patience.poll_over(cx)).now_or_never().is_none());
            tokio::time::advance(Duration::from_secs(9)).await;
            patience.came();
        }
        // The body is not polled for a minute.
        tokio::time::advance(Duration::from_secs(60)).await;
        let began = Instant::now();
        poll_fn(|cx| patience.poll_over(cx)).await;
        assert_eq!(began.elapsed(), limit);
    }

    #[test]
    fn patience_of_zero_is_no_limit() {
        assert!(Patience::of(Duration::ZERO).is_none());
    }
}
