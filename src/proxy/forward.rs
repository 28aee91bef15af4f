//! Sends a request to the upstream that was chosen, and waits for the head of its response.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};

use super::{Failure, Proxy, upload::Upload};
use crate::{
    meter::Live,
    upstream::{Answer, Busy, Upstream},
};

impl Proxy {
    pub(super) async fn send(
        &self,
        upstream: &Upstream,
        busy: Busy,
        request: Request<Upload>,
        live: &Arc<Live>,
    ) -> Result<Response<Answer>, Failure> {
        let progress = request.body().progress();
        let sending = self.client.send(upstream, busy, request);
        let answered = tokio::select! {
            answered = sending => answered,
            () = overdue(self.upstream.response_timeout, live) => {
                return Err(Failure::HeadTimeout {
                    upstream: upstream.name().to_owned(),
                    limit: self.upstream.response_timeout,
                });
            }
        };
        answered.map_err(|why| match progress.failure() {
            // The upstream was left in the lurch by the client, not the other way round.
            Some(unread) => Failure::Unread(unread),
            None => Failure::Unanswered { upstream: upstream.name().to_owned(), why },
        })
    }
}

/// Ready when the head has been awaited for `limit` since the whole request was sent; never if that is zero.
async fn overdue(limit: Duration, live: &Live) {
    if limit.is_zero() {
        return std::future::pending().await;
    }
    let mut timer = pin!(tokio::time::sleep(limit));
    loop {
        timer.as_mut().await;
        // Not sent yet: a large upload has its own time-out.
        let waited = live.since_sent().unwrap_or_default();
        let Some(left) = limit.checked_sub(waited).filter(|left| !left.is_zero()) else { return };
        timer.set(tokio::time::sleep(left));
    }
}
