//! Finds an upstream that accepts the request, and waits for the head of its response.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, request};

use super::{
    Failure, Proxy,
    body_length::{BodyLength, UnknownCoding},
    headers, respond,
    upload::{Lent, Owner, Upload},
};
use crate::{
    admission::Permit,
    meter::{Live, Measurement},
    protocol::{CLOUD, is_cloud_model},
    upstream::{Answer, Busy, Failed, Upstream, queue::Wish},
};

/// A response and its upstream.
pub(super) struct Answered {
    pub(super) response: Response<Answer>,
    pub(super) length: BodyLength,
    pub(super) upstream: Arc<Upstream>,
    /// Ollama passed the request on to its cloud.
    pub(super) is_cloud: bool,
}

impl Proxy {
    /// Chooses an upstream, waits for a slot, and sends the request. If the upstream cannot be reached, nothing was
    /// sent, and another upstream is tried. A request that may have begun is never sent twice. `model` is
    /// canonical.
    pub(super) async fn send(
        &self,
        mut head: request::Parts,
        mut body: Upload,
        model: Option<&str>,
        permit: &Permit,
        measurement: &mut Measurement,
    ) -> Result<Answered, Failure> {
        let route = measurement.route();
        let upstreams = &self.stages.upstreams;
        let mut upstream = upstreams.choose(route, model).await.clone();
        let mut tried = Vec::new();
        loop {
            let is_cloud = route.asks_cloud()
                || route.may_ask_cloud() && model.is_some_and(|model| upstream.passes_on(model));
            if upstream.health().is_loop {
                return Err(Failure::Loop { upstream: upstream.name().to_owned() });
            }
            tell_listed(&upstream, model, is_cloud, measurement);
            let busy = self.enter(&upstream, is_cloud, permit, measurement).await?;
            permit.enter();
            measurement.chosen(if is_cloud { CLOUD } else { upstream.name() });
            let again = (upstreams.all().len() > 1).then(|| (head.clone(), Owner::default()));
            headers::towards(&mut head, upstream.host());
            let owner = again.as_ref().map(|(_, owner)| owner.clone());
            let request = Request::from_parts(head, Lent::new(body, owner));
            let failure = match self.ask(&upstream, busy, request, measurement.live()).await {
                Ok((response, length)) => return Ok(Answered { response, length, upstream, is_cloud }),
                Err(failure) => failure,
            };
            if failure.is_of_connection() {
                // The cloud has no part in this failure.
                measurement.waits_at(upstream.name());
            }
            tried.push(upstream.position());
            let next = upstreams.instead(route, model, &tried).filter(|_| failure.is_unsent());
            let back = again.and_then(|(head, owner)| Some((head, owner.back()?)));
            let (Some(next), Some(whole)) = (next, back) else { return Err(failure) };
            tracing::warn!(
                id = measurement.live().id(),
                next = next.name(),
                "{failure}; trying another upstream"
            );
            upstream = next.clone();
            (head, body) = whole;
        }
    }

    /// Waits for a slot of an upstream, if the route takes one. A request that Ollama passes on to its cloud takes
    /// no slot there, and waits only for its caller's own limit.
    async fn enter(
        &self,
        upstream: &Arc<Upstream>,
        is_cloud: bool,
        permit: &Permit,
        measurement: &mut Measurement,
    ) -> Result<Busy, Failure> {
        let queue = &self.stages.queue;
        let (label, position) =
            if is_cloud { (CLOUD, queue.cloud()) } else { (upstream.name(), upstream.position()) };
        measurement.waits_at(label);
        let mut place = None;
        if measurement.route().takes_slot() {
            let (caller, max_streams) = (permit.caller(), permit.max_streams());
            let wish = Wish { upstream: position, caller, max_streams };
            place = Some(queue.enter(wish).await.map_err(|none| respond::refuse(none, permit))?);
        }
        Ok(if is_cloud { upstream.pass_on(place) } else { upstream.enter(place) })
    }

    /// Sends the request to one upstream, and counts failures of that upstream.
    async fn ask(
        &self,
        upstream: &Upstream,
        mut busy: Busy,
        request: Request<Lent>,
        live: &Arc<Live>,
    ) -> Result<(Response<Answer>, BodyLength), Failure> {
        let name = || upstream.name().to_owned();
        let method = request.method().clone();
        let limit = self.upstream.response_timeout;
        let progress = request.body().progress();
        let sending = self.client.send(upstream, request);
        let answered = tokio::select! {
            answered = sending => answered,
            () = overdue(limit, live) => {
                busy.failed(Failed::Request);
                return Err(Failure::HeadTimeout { upstream: name(), limit });
            }
        };
        match (answered, progress.failure()) {
            (Ok(response), _) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                busy.failed(Failed::Request);
                Err(Failure::Switched { upstream: name() })
            }
            (Ok(response), _) => match BodyLength::of(&method, response.status(), response.headers()) {
                Ok(length) => Ok((self.client.take(response, busy, progress.excuse()), length)),
                Err(UnknownCoding) => {
                    busy.failed(Failed::Request);
                    Err(Failure::UnknownCoding { upstream: name() })
                }
            },
            // The client broke the request off, so that the upstream did not fail.
            (Err(_), Some(unread)) => Err(Failure::Unread(unread)),
            (Err(why), None) => {
                busy.failed(if why.is_unsent() { Failed::Unreachable } else { Failed::Request });
                Err(Failure::Unanswered { upstream: name(), why })
            }
        }
    }
}

/// Tells the meter how the upstream spells the model, if its list of models is known. A model of the cloud may be
/// missing in the list, and has a label that says where it runs.
pub(super) fn tell_listed(
    upstream: &Upstream,
    model: Option<&str>,
    is_cloud: bool,
    measurement: &mut Measurement,
) {
    let Some(model) = model else { return };
    match upstream.health().listed(model) {
        Some(Some(name)) if is_cloud && !is_cloud_model(name) => {
            measurement.listed(Some(&format!("{name}-cloud")));
        }
        Some(None) if is_cloud => {}
        Some(name) => measurement.listed(name),
        None => {}
    }
}

/// Ready when the head of the response has not come within `limit` after the whole request was sent. Zero: never.
async fn overdue(limit: Duration, live: &Live) {
    if limit.is_zero() {
        return std::future::pending().await;
    }
    let mut timer = pin!(tokio::time::sleep(limit));
    loop {
        timer.as_mut().await;
        // The request is not sent completely. A large upload has its own time limit.
        let waited = live.since_sent().unwrap_or_default();
        let Some(left) = limit.checked_sub(waited).filter(|left| !left.is_zero()) else { return };
        timer.set(tokio::time::sleep(left));
    }
}
