//! Finds an upstream that accepts the request, and waits for the head of its response.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, request};

use super::{
    Failure, Proxy,
    body_length::{BodyLength, UnknownCoding},
    ending, families, headers, respond,
    upload::{Lent, Owner, Upload},
};
use crate::{
    admission::Permit,
    meter::{Live, Measurement, Step},
    protocol::{CLOUD, Route, is_cloud_model},
    scheduler::{NoSlot, Slot, Want},
    upstream::{Answer, Busy, Failed, Placement, Upstream},
};

/// The reason of a dispatch without a slot.
const NO_SLOT: &str = "no_slot";

/// A response and its upstream.
pub(super) struct Answered {
    pub(super) response: Response<Answer>,
    pub(super) length: BodyLength,
    pub(super) upstream: Arc<Upstream>,
    /// Ollama passed the request on to its cloud.
    pub(super) is_cloud: bool,
}

impl Proxy {
    /// Waits for a slot at an upstream, and sends. If the upstream cannot be reached, so that nothing was sent, or does
    /// not have the model, so that nothing was generated, another upstream gets the request. A request that may have
    /// begun is never sent twice. `model` is canonical.
    pub(super) fn send<'a>(
        &'a self,
        mut head: request::Parts,
        mut body: Box<Upload>,
        model: Option<&'a str>,
        permit: &'a Permit,
        measurement: &'a mut Measurement,
    ) -> impl Future<Output = Result<Answered, Failure>> + Send + 'a {
        let route = measurement.route();
        let upstreams = &self.stages.upstreams;
        async move {
            upstreams.learn(route, model).await;
            let mut tried = Vec::new();
            let mut placement =
                upstreams.place(route, model, &tried).expect("there is at least one upstream");
            loop {
                let (upstream, is_cloud, busy) = self.enter(placement, model, permit, measurement).await?;
                permit.enter();
                measurement.upstream_chosen(if is_cloud { CLOUD } else { upstream.name() });
                let again = (upstreams.all().len() > 1).then(|| (head.clone(), Owner::default()));
                let model_here = model.filter(|_| !is_cloud && is_retried_elsewhere(route));
                let may_move =
                    model_here.filter(|model| upstreams.may_be_elsewhere(model, &upstream, &tried));
                let copy = may_move.and_then(|_| body.copy()).map(Box::new);
                headers::towards(&mut head, upstream.host());
                let owner = again.as_ref().map(|(_, owner)| owner.clone());
                let request = Request::from_parts(head, Lent::new(body, owner));
                let failure = match self.send_to(&upstream, busy, request, measurement.live()).await {
                    Ok((response, length)) => {
                        let answered = Answered { response, length, upstream, is_cloud };
                        let is_missing = answered.response.status() == StatusCode::NOT_FOUND;
                        let (Some(copy), Some((whole, _)), Some(model), true) =
                            (copy, again, model, is_missing)
                        else {
                            return Ok(answered);
                        };
                        let next = self.elsewhere(&answered.upstream, model, &mut tried, measurement).await;
                        let Some(next) = next else { return Ok(answered) };
                        measurement.step(|| retried(&answered.upstream, families::NO_MODEL));
                        (head, body, placement) = (whole, copy, next);
                        continue;
                    }
                    Err(failure) => failure,
                };
                if failure.is_of_connection() {
                    // The cloud has no part in this failure.
                    measurement.queued_at(upstream.name());
                }
                tried.push(upstream.position());
                let next = upstreams.place(route, model, &tried).filter(|_| failure.is_unsent());
                let back = again.and_then(|(head, owner)| Some((head, owner.back()?)));
                let (Some(next), Some(whole)) = (next, back) else { return Err(failure) };
                tracing::warn!(id = %measurement.live().id(), "{failure}; trying another upstream");
                self.families.retries(upstream.name(), families::UNREACHABLE);
                measurement.step(|| retried(&upstream, families::UNREACHABLE));
                placement = next;
                (head, body) = whole;
            }
        }
    }

    /// Returns the destination of a request whose model this upstream does not have.
    async fn elsewhere(
        &self,
        upstream: &Upstream,
        model: &str,
        tried: &mut Vec<usize>,
        measurement: &Measurement,
    ) -> Option<Placement> {
        tried.push(upstream.position());
        let next = self.stages.upstreams.place_elsewhere(measurement.route(), model, tried).await?;
        let (id, name) = (measurement.live().id(), upstream.name());
        tracing::info!(%id, upstream = name, model, "the upstream lacks the model; trying another upstream");
        self.families.retries(name, families::NO_MODEL);
        Some(next)
    }

    /// The upstream of a request, once it has a slot there if its route takes one. What is passed on to the cloud takes none
    /// there, and waits for its caller's own limit alone.
    async fn enter(
        &self,
        placement: Placement,
        model: Option<&str>,
        permit: &Permit,
        measurement: &mut Measurement,
    ) -> Result<(Arc<Upstream>, bool, Busy), Failure> {
        let scheduler = &self.stages.scheduler;
        let live = measurement.live().clone();
        let wait = |want| async move {
            let want = Want { id: live.id().number(), ..want };
            let slot = scheduler.enter(permit.caller(), permit.terms(), want).await;
            let waited = match &slot {
                Ok(slot) => slot.waited(),
                Err(NoSlot::Full { waited, .. } | NoSlot::Late { waited, .. }) => Some(*waited),
            };
            if let Some(waited) = waited.filter(|waited| !waited.is_zero()) {
                live.queue_waited(waited);
            }
            slot.map_err(|none| respond::refuse(none, permit))
        };
        match placement {
            Placement::At { upstream, is_cloud } => {
                check(&upstream)?;
                report_listing(&upstream, model, is_cloud, measurement);
                measurement.queued_at(if is_cloud { CLOUD } else { upstream.name() });
                let slot = if measurement.route().takes_slot() {
                    measurement.step(|| Step::Queued);
                    Some(wait(Want { is_cloud: true, ..Want::default() }).await?)
                } else {
                    None
                };
                measurement.step(|| dispatched(&upstream, if is_cloud { CLOUD } else { NO_SLOT }));
                let busy = if is_cloud { upstream.pass_on(slot) } else { upstream.enter(slot) };
                Ok((upstream, is_cloud, busy))
            }
            Placement::Any { want, likely, is_only } => {
                // It has no upstream while it waits for one of several.
                report_listing(&likely, model, false, measurement);
                if is_only {
                    check(&likely)?;
                    measurement.queued_at(likely.name());
                }
                measurement.step(|| Step::Queued);
                let mut slot = wait(want).await?;
                let upstream = self.stages.upstreams.all()[slot.upstream()].clone();
                check(&upstream)?;
                report_listing(&upstream, model, false, measurement);
                let reason = reason(&slot, is_only, &upstream, model);
                self.families.dispatched(upstream.name(), reason);
                measurement.step(|| dispatched(&upstream, reason));
                if let Some(watch) = slot.take_watch() {
                    let upstream = upstream.clone();
                    measurement.on_end(move |end| {
                        // A request that was sent to another one after all says nothing about this upstream.
                        if let Some(cost) = ending::cost(end).filter(|_| end.upstream == upstream.name()) {
                            watch.tell(cost);
                        }
                    });
                }
                let busy = upstream.enter(Some(slot)).with_model(model);
                Ok((upstream, false, busy))
            }
        }
    }

    /// Sends the request to one upstream, and counts failures of that upstream.
    fn send_to<'a>(
        &'a self,
        upstream: &'a Upstream,
        mut busy: Busy,
        request: Request<Lent>,
        live: &'a Live,
    ) -> impl Future<Output = Result<(Response<Answer>, BodyLength), Failure>> + Send + 'a {
        let name = || upstream.name().to_owned();
        let method = request.method().clone();
        let limit = self.upstream.response_timeout;
        let progress = request.body().progress();
        // The request is handed over here, so that this future does not hold it while it waits.
        let answering = self.client.send(upstream, request);
        async move {
            let answered = tokio::select! {
                answered = answering => answered,
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
}

fn dispatched(upstream: &Upstream, reason: &'static str) -> Step {
    Step::Dispatched { upstream: upstream.name().into(), reason }
}

fn retried(upstream: &Upstream, reason: &'static str) -> Step {
    Step::Retried { upstream: upstream.name().into(), reason }
}

/// The reason why a request got its slot at this upstream.
fn reason(slot: &Slot, is_only: bool, upstream: &Upstream, model: Option<&str>) -> &'static str {
    if slot.waited().is_some() {
        "queued"
    } else if is_only {
        "only"
    } else if model.is_some_and(|model| upstream.health().has_loaded(model)) {
        "loaded"
    } else {
        "not_loaded"
    }
}

/// Whether a 404 for a request on this route says that the upstream does not have the model, so that another one may
/// answer it. The path of an unknown route may be what is missing.
const fn is_retried_elsewhere(route: Route) -> bool {
    route.takes_slot() && !matches!(route, Route::V1Other) || matches!(route, Route::Show)
}

/// No request may be sent to an upstream that is this sidecar itself.
fn check(upstream: &Upstream) -> Result<(), Failure> {
    if upstream.health().is_loop {
        Err(Failure::Loop { upstream: upstream.name().to_owned() })
    } else {
        Ok(())
    }
}

/// Tells the meter how the upstream spells the model, if its list of models is known. A model of the cloud may be
/// missing in the list, and has a label that says where it runs.
pub(super) fn report_listing(
    upstream: &Upstream,
    model: Option<&str>,
    is_cloud: bool,
    measurement: &mut Measurement,
) {
    let Some(model) = model else { return };
    match upstream.health().listed(model) {
        Some(Some(name)) if is_cloud && !is_cloud_model(name) => {
            measurement.model_listed(Some(&format!("{name}-cloud")));
        }
        Some(None) if is_cloud => {}
        Some(name) => measurement.model_listed(name),
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
