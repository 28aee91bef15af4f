//! The path of a request: admit, read, choose, wait, forward, measure, shape.

mod body_length;
mod config;
mod connection;
mod cors;
mod ending;
mod families;
mod forward;
mod headers;
mod held_slot;
mod inbound;
mod kept_alive;
mod listen;
mod naming;
mod respond;
mod response_fields;
mod shared;
mod unwritten;
mod upload;
mod worker;

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::{Method, Request, Response, request};
use http_body::Body;
use prometheus::IntCounter;

pub(crate) use connection::Counts;
pub(crate) use listen::{Draining, Listener};
pub(crate) use shared::{Proxy, Stages};

use crate::{
    admission::Permit,
    meter::{Delivered, Facts, Measurement, Outcome, Step},
    protocol::{CLOUD, Coding, Framing, Route, canonical_model, model_of_path},
    shaping::{self, Stream},
    tls::Acceptor,
    upstream::{self, List, Upstream},
};
use body_length::BodyLength;
use cors::Page;
use families::Families;
use forward::Answered;
use held_slot::{HeldSlot, SlotHolder};
use inbound::Inbound;
use kept_alive::EarlyHead;
use naming::Naming;
use respond::{Failure, Outgoing};
use upload::{Budget, Share, Unread, Upload, read_off};

pub use config::{Config, UnknownV1};

/// The decisions of the earlier stages about a request.
struct Passed {
    permit: Arc<Permit>,
    upstream: Arc<Upstream>,
    is_cloud: bool,
    length: BodyLength,
    strip_usage: bool,
}

impl Proxy {
    pub(crate) fn new(
        config: Config,
        upstream: upstream::Config,
        stages: Stages,
        registry: &prometheus::Registry,
    ) -> prometheus::Result<Proxy> {
        let client = upstream::Client::new(&upstream, &stages.upstreams, config.body_idle_timeout);
        let families = Families::register(registry, &stages.upstreams)?;
        let budget = Budget::register(config.read_ahead_budget, registry)?;
        let acceptor = Acceptor::new(config.tls.as_ref());
        Ok(Proxy { config, acceptor, upstream, client, stages, budget, families })
    }

    /// Another proxy with the same stages and its own connections to upstreams.
    fn with_own_connections(&self) -> Proxy {
        Proxy {
            config: self.config.clone(),
            acceptor: self.acceptor.clone(),
            client: upstream::Client::new(
                &self.upstream,
                &self.stages.upstreams,
                self.config.body_idle_timeout,
            ),
            upstream: self.upstream.clone(),
            stages: self.stages.clone(),
            budget: self.budget.clone(),
            families: self.families.clone(),
        }
    }

    /// The TLS acceptor of the listener. Its certificate can be renewed.
    pub(crate) fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    /// The time after which a client that reads nothing is disconnected; zero: never.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.config.client_stall_timeout
    }

    /// The facts that the head of a request contains.
    fn facts_of(&self, request: &Request<Inbound>) -> Facts {
        let mut facts = Facts::new(request.method().as_str(), request.uri().path());
        if facts.route == Route::V1Other && self.config.unknown_v1 == UnknownV1::Other {
            facts.route = Route::Other;
        }
        facts
    }

    /// Answers a request so that a panic, which is a bug, ends only this request.
    // An `async fn` holds each argument twice, as it came and as it is used. A request that waits for its response keeps
    // all of its futures. Written as blocks, these take 6 KiB instead of 12.
    fn answer_guarded<'a>(
        &'a self,
        panics: &'a IntCounter,
        request: Request<Inbound>,
        facts: Facts,
        measurement: Measurement,
        early: Option<&'a EarlyHead>,
    ) -> impl Future<Output = Response<Delivered<Outgoing>>> + Send + 'a {
        let page = Page::of(request.headers(), &self.stages.admission);
        let live = self.config.response_fields.then(|| measurement.live().clone());
        async move {
            // The future is awaited where it is made: in a variable, it would need twice the memory and one more copy.
            let answered =
                AssertUnwindSafe(self.answer(request, facts, &page, measurement, early)).catch_unwind().await;
            let mut response = match answered {
                Ok(response) => response,
                Err(_) => {
                    panics.inc();
                    // The message of the panic may quote content, so it is not logged. The panic hook logs the location.
                    tracing::error!(route = facts.route.label(), "a request panicked, which is a bug");
                    let mut measurement = self.stages.meter.start(facts);
                    // The measurement that the panic dropped has recorded the request.
                    measurement.forget();
                    if early.is_some_and(EarlyHead::is_sent) {
                        return respond::event(&Failure::Panicked, facts)
                            .map(|body| measurement.deliver(body));
                    }
                    self.respond_to_failure(&Failure::Panicked, facts, &page, measurement)
                }
            };
            if let Some(live) = live {
                response_fields::write(&live, response.headers_mut());
            }
            response
        }
    }

    /// Answers a request. Dropping the future ends the request, also at the upstream.
    fn answer<'a>(
        &'a self,
        request: Request<Inbound>,
        facts: Facts,
        page: &'a Page,
        mut measurement: Measurement,
        early: Option<&'a EarlyHead>,
    ) -> impl Future<Output = Response<Delivered<Outgoing>>> + Send + 'a {
        let (head, body) = request.into_parts();
        async move {
            #[cfg(test)]
            assert_ne!(head.uri.path(), "/panic", "a test of the sidecar wants it");
            self.trace(&head, &mut measurement);
            if let Some(take) = self.stages.request_log.taker() {
                measurement.on_end(take);
            }
            self.stages.recorder.observe(&mut measurement);
            let permit = match self.admit(&head, &mut measurement).await {
                Ok(permit) => permit,
                Err(failure) => {
                    measurement.on_end(|end| ending::log(end, None));
                    read_off(&head.headers, body).await;
                    return self.respond_to_failure(&failure, facts, page, measurement);
                }
            };
            let named = model_of_path(head.uri.path());
            if let Some(list) = List::of(facts.route, named.as_deref()) {
                match self.list(list, &permit).await {
                    Ok(None) => {}
                    Ok(Some(list)) => {
                        read_off(&head.headers, body).await;
                        return respond_with_list(
                            list,
                            head.method == Method::HEAD,
                            page,
                            &permit,
                            measurement,
                        );
                    }
                    Err(failure) => {
                        read_off(&head.headers, body).await;
                        return self.respond_to_failure(&failure, facts, page, measurement);
                    }
                }
            }
            // Each future is copied whole into the one that awaits it. The box saves these copies: 27,000 of the 125,000
            // instructions of a short request.
            let early_for = early.map(|early| (early, page));
            let mut forwarded =
                Box::pin(self.forward((head, body), named, permit, &mut measurement, early_for)).await;
            if early.is_some_and(EarlyHead::is_sent)
                && let Ok((response, passed)) = forwarded
            {
                let followed = Box::pin(respond::following(response, passed.upstream.name())).await;
                forwarded = followed.map(|response| (response, passed));
            }
            match forwarded {
                Ok((response, passed)) => self.deliver(response, facts, &passed, measurement),
                Err(failure) => self.respond_to_failure(&failure, facts, page, measurement),
            }
        }
    }

    /// Notes the trace to which the request belongs. If it is sampled, its span is exported at its end.
    fn trace(&self, head: &request::Parts, measurement: &mut Measurement) {
        let parent = headers::trace_parent(&head.headers);
        let sampled = self.stages.traces.as_ref().and_then(|traces| {
            let sampled = traces.sample(parent, &head.headers, &head.method)?;
            Some((traces.clone(), sampled))
        });
        let root = sampled.as_ref().and_then(|(_, sampled)| sampled.root());
        if let Some(trace) = parent.or(root) {
            measurement.traced(trace);
        }
        if let Some((traces, sampled)) = sampled {
            measurement.keep_steps();
            let live = measurement.live().clone();
            measurement.on_end(move |end| traces.finish(sampled, &live, end));
        }
    }

    /// Admits a request. Its cost is charged at its end.
    async fn admit(
        &self,
        head: &request::Parts,
        measurement: &mut Measurement,
    ) -> Result<Arc<Permit>, Failure> {
        headers::check(head, self.config.max_head)?;
        // This comes before the check of the key, since a probe has no key.
        if self.stages.upstreams.is_own_probe(&head.headers) {
            return Err(Failure::OwnProbe);
        }
        let route = measurement.route();
        let admission = &self.stages.admission;
        let permit = Arc::new(match cors::preflight(head) {
            Some(method) => {
                admission.admit_preflight(&head.headers, Route::classify(method, head.uri.path()))?
            }
            None => admission.enter(&head.headers, route).await?,
        });
        measurement.called_by(permit.label());
        measurement.client_wait_counted_by(permit.client_wait());
        measurement.step(|| Step::Admitted);
        let (charged, managing) = (permit.clone(), self.stages.upstreams.managing(route));
        measurement.on_end(move |end| {
            ending::log(end, Some(charged.label()));
            charged.charge(&ending::charge(end));
            drop(managing);
        });
        if self.stages.upstreams.all().len() > 1 {
            let upstreams = self.stages.upstreams.clone();
            measurement.on_end(move |end| {
                upstreams.observe(&end.upstream, &canonical_model(&end.model), ending::observed(end));
            });
        }
        Ok(permit)
    }

    /// The list of the models that the caller may use. `None`: the caller may use all models, and an upstream
    /// answers.
    async fn list(&self, list: List, permit: &Permit) -> Result<Option<Vec<u8>>, Failure> {
        let upstreams = &self.stages.upstreams;
        match permit.models() {
            None if upstreams.merges() => Ok(upstreams.merged(list, &|_| true).await),
            None => Ok(None),
            Some(models) => {
                let kept = upstreams.merged(list, &|model| models.allows(model)).await;
                kept.map(Some).ok_or(Failure::NoList)
            }
        }
    }

    /// `named` is the model in the path, if the path names one.
    fn forward<'a>(
        &'a self,
        (mut head, body): (request::Parts, Inbound),
        named: Option<String>,
        permit: Arc<Permit>,
        measurement: &'a mut Measurement,
        early: Option<(&'a EarlyHead, &'a Page)>,
    ) -> impl Future<Output = Result<(Response<upstream::Answer>, Passed), Failure>> + Send + 'a {
        let route = measurement.route();
        // The model must be known before an upstream is chosen, and hyper notices a disconnect only after it has
        // read the body.
        let share = Share::of(&self.budget);
        let (idle, live) = (self.config.body_idle_timeout, measurement.live().clone());
        let mut upload = Box::new(Upload::new(body, idle, live, share));
        async move {
            let (mut strip_usage, mut is_whole, mut streams) = (false, true, false);
            if route.reads_body_ahead() {
                let coding = headers::coding(&head.headers);
                let most = self.budget.of_one().max(self.config.peek_limit) as u64;
                let mut reader = Naming::of(route, &head, most);
                let asks_usage = self.stages.shaping.asks_usage(route);
                // A compressed body must be decoded and edited as a whole.
                let to_end = asks_usage && coding != Coding::Identity;
                let more = |reader: &Naming| {
                    let to_object_end = asks_usage || permit.models().is_some() || early.is_some();
                    let tells_more = !reader.is_over() && (to_object_end || !reader.knows_model());
                    tells_more || (to_end && !reader.is_undecodable())
                };
                upload.read_ahead(self.config.peek_limit, &mut reader, more).await?;
                is_whole = !reader.is_undecodable() && (reader.is_over() || upload.is_read());
                let peek = reader.peek();
                streams = peek.stream == Some(true);
                if let Some(model) = &peek.model {
                    measurement.model_named(model);
                }
                measurement.request_read(&peek);
                if let Some(ask) = self.stages.shaping.ask_usage(route, &peek)
                    && (!ask.strip || headers::takes_identity(&head.headers))
                    && upload.insert(coding, ask.at, ask.text, &mut head.headers).await
                {
                    strip_usage = ask.strip;
                    if strip_usage {
                        headers::ask_identity(&mut head.headers);
                    }
                }
            }
            let named = named.as_deref().map(canonical_model);
            let model =
                measurement.canonical_model().map(Cow::Borrowed).or(named.clone()).map(Cow::into_owned);
            if let Some(models) = permit.models().filter(|_| route.has_model() || named.is_some()) {
                models.judge(model.as_deref(), is_whole).inspect_err(|refusal| permit.refuse(refusal))?;
            }
            permit.strip(&mut head.headers);
            if let Some((early, page)) = early.filter(|_| streams && headers::takes_identity(&head.headers)) {
                // The fields of the head are sent before the coding of the response is known.
                headers::ask_identity(&mut head.headers);
                early.allow(&permit, page, upload.is_read());
            }
            let Answered { response, length, upstream, is_cloud } =
                self.send(head, upload, model.as_deref(), &permit, measurement).await?;
            Ok((response, Passed { permit, upstream, is_cloud, length, strip_usage }))
        }
    }

    /// Hands an upstream's response on: measures it as it comes, shapes it, and records its outcome.
    fn deliver(
        &self,
        response: Response<upstream::Answer>,
        facts: Facts,
        passed: &Passed,
        mut measurement: Measurement,
    ) -> Response<Delivered<Outgoing>> {
        let (mut head, body) = response.into_parts();
        if let Some(token) = body.token() {
            let of = SlotHolder { id: measurement.live().id(), caller: passed.permit.shared_label() };
            head.extensions.insert(HeldSlot { token, of });
        }
        head.version = http::Version::HTTP_11;
        // An upstream that accepts no more of an upload closes its connection, which closes the client's connection
        // too.
        let closes = measurement.live().since_sent().is_none() && headers::closes(&head.headers);
        headers::strip(&mut head.headers);
        if closes {
            respond::closes(&mut head.headers);
        }
        let allowances = passed.permit.allowances();
        if !allowances.is_empty() {
            allowances.write(&mut head.headers);
            cors::expose(&mut head.headers);
        }
        // A model that was pulled a moment ago is on the list by now.
        let model = measurement.canonical_model().map(str::to_owned);
        forward::report_listing(&passed.upstream, model.as_deref(), passed.is_cloud, &mut measurement);
        measurement.responded(head.status);
        let content_type = headers::content_type(&head.headers);
        let coding = headers::coding(&head.headers);
        measurement.response_coded(coding);
        // The records of a compressed body cannot be found in its bytes, so it is not shaped.
        let has_records = head.status.is_success() && measurement.has_body() && coding == Coding::Identity;
        let framing = content_type.and_then(Framing::of).filter(|_| has_records);
        let (tap, delivered) = measurement.split(content_type, body);
        let shaped = self.stages.shaping.wrap(
            &Stream {
                route: facts.route,
                dialect: facts.dialect,
                framing,
                caller: passed.permit.key_label(),
                pace: passed.permit.pace(),
                // The pace of a stream from the cloud does not depend on measurements of this upstream.
                upstream: if passed.is_cloud { CLOUD } else { passed.upstream.name() },
                strip_usage: passed.strip_usage,
            },
            tap,
        );
        let reshapes = shaping::reshapes(&shaped);
        passed.length.write(&mut head.headers, shaped.size_hint().exact());
        let body = Outgoing::Forwarded { body: shaped };
        let body = match framing.filter(|_| reshapes) {
            Some(framing) => delivered.wrap_shaped(framing, body),
            None => delivered.wrap(body),
        };
        Response::from_parts(head, body)
    }

    /// Responds without a response of an upstream.
    fn respond_to_failure(
        &self,
        failure: &Failure,
        facts: Facts,
        page: &Page,
        mut measurement: Measurement,
    ) -> Response<Delivered<Outgoing>> {
        match failure {
            Failure::Malformed(why) => self.families.malformed(why.reason()),
            Failure::Unread(why) => self.families.unread(*why),
            Failure::Refused(refusal) => tracing::debug!(
                target: "streamgauge::request",
                id = %measurement.live().id(),
                route = facts.route.label(),
                reason = refusal.reason(),
                "refused: {refusal}"
            ),
            _ => tracing::warn!(id = %measurement.live().id(), route = facts.route.label(), "{failure}"),
        }
        let is_gone = matches!(failure, Failure::Unread(Unread::Gone));
        if !is_gone {
            measurement.responded(failure.status());
        }
        let is_late = measurement.live().has_responded_early();
        let is_of_client = is_gone || failure.status().is_client_error();
        measurement.decide(if is_late && !is_of_client { Outcome::LateError } else { failure.outcome() });
        measurement.failure_explained(failure.to_string());
        if is_late {
            return respond::event(failure, facts).map(|body| measurement.deliver(body));
        }
        let mut response = failure.response(facts.dialect);
        page.let_read(response.headers_mut());
        response.map(|body| measurement.deliver(body))
    }
}

/// Responds with a list that is merged from several upstreams.
fn respond_with_list(
    list: Vec<u8>,
    is_head: bool,
    page: &Page,
    permit: &Permit,
    mut measurement: Measurement,
) -> Response<Delivered<Outgoing>> {
    permit.enter();
    let mut response = respond::list(list, is_head);
    permit.allowances().write(response.headers_mut());
    page.let_read(response.headers_mut());
    measurement.responded(response.status());
    response.map(|body| measurement.deliver(body))
}
