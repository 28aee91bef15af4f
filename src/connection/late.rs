//! The time limits of a connection: until a request begins, and until its head is complete.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::waiting::{Late, WaitingPlace};

/// The time limits for the next request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// Until the first byte.
    pub(crate) idle: Duration,
    /// From the first byte to the end of the head.
    pub(crate) head: Duration,
}

/// One timer for each connection. A request does not re-arm it, so that a request in time costs nothing.
#[derive(Debug)]
pub(crate) struct Timer {
    limits: RequestLimits,
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    pub(crate) fn new(limits: RequestLimits) -> Timer {
        Timer { limits, sleep: Box::pin(sleep_until(Instant::now() + limits.idle)) }
    }

    /// Ready when a limit is exceeded. While a request runs, no limit applies.
    pub(crate) fn poll_late(&mut self, place: &WaitingPlace, cx: &mut Context<'_>) -> Poll<Late> {
        let Some((since, late)) = place.awaits() else { return Poll::Pending };
        let deadline = since
            + match late {
                Late::Idle => self.limits.idle,
                Late::Head => self.limits.head,
            };
        // If the deadline has moved, the timer is re-armed when it fires.
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.sleep.deadline() >= deadline {
                return Poll::Ready(late);
            }
            self.sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::connection::Places;

    const LIMITS: RequestLimits =
        RequestLimits { idle: Duration::from_secs(180), head: Duration::from_secs(10) };

    async fn late(timer: &mut Timer, place: &WaitingPlace) -> (Late, Duration) {
        let began = Instant::now();
        let late = poll_fn(|cx| timer.poll_late(place, cx)).await;
        (late, began.elapsed())
    }

    /// A place's clock counts in milliseconds.
    fn about(found: (Late, Duration), late: Late, after: Duration) {
        assert_eq!(found.0, late);
        assert!(found.1.abs_diff(after) <= Duration::from_millis(2), "{found:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_is_late_after_keep_alive_timeout() {
        let place = Places::default().add(0);
        let mut timer = Timer::new(LIMITS);
        for _ in 0..3 {
            tokio::time::timeout(LIMITS.idle / 2, late(&mut timer, &place))
                .await
                .expect_err("it is not late");
            drop(place.ask());
        }
        about(late(&mut timer, &place).await, Late::Idle, LIMITS.idle);
    }

    #[tokio::test(start_paused = true)]
    async fn head_is_late_after_header_timeout_from_its_first_byte() {
        let place = Places::default().add(0);
        let mut timer = Timer::new(LIMITS);
        tokio::time::timeout(LIMITS.idle / 2, late(&mut timer, &place)).await.expect_err("it is not late");
        assert!(place.heard());
        tokio::time::advance(LIMITS.head / 2).await;
        assert!(!place.heard(), "only the first byte counts");
        about(late(&mut timer, &place).await, Late::Head, LIMITS.head / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn running_request_is_never_late_and_next_head_has_its_own_timeout() {
        let place = Places::default().add(0);
        let mut timer = Timer::new(LIMITS);
        place.heard();
        let asked = place.ask();
        tokio::time::timeout(10 * LIMITS.idle, late(&mut timer, &place)).await.expect_err("it is not late");
        drop(asked);
        about(late(&mut timer, &place).await, Late::Idle, LIMITS.idle);
    }
}
