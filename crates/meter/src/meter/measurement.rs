//! One request, from its acceptance to its end.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use http::StatusCode;
use prometheus::Counter;

use super::{
    Ending, Outcome,
    cause::Order,
    chunks::ChunkBudget,
    concurrency::{Concurrency, Running},
    families::StreamChildren,
    live::{Listed, Live, Named},
    loads::Waiter,
    model::{Claim, Place},
    outcomes::Outcomes,
    shared::{OTHER_CLOUD, Shared},
    silence,
    step::{self, Step, TimedStep},
    trace::TraceParent,
    truncation::Truncation,
};
use crate::metric::Occupied;
use crate::protocol::{CLOUD, Coding, Dialect, Peek, Route, canonical_model, short_model};

/// The properties of a request that are known when its head is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The route.
    pub route: Route,
    /// The dialect of its client.
    pub dialect: Dialect,
    /// Whether its method is HEAD. The response then has no body, whatever its head says.
    pub is_head: bool,
}

impl Facts {
    /// Classifies a request by its method and its percent-encoded path without a query.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Facts {
        Facts { route: Route::classify(method, path), dialect: Dialect::of(path), is_head: method == "HEAD" }
    }
}

/// A function that is called with an ending.
type Hook = Box<dyn FnOnce(&Ending) + Send + Sync>;

/// Whether the upstream's list of models contains the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// The list is not known.
    Untold,
    /// The list does not contain the model.
    Missing,
    /// The list contains the model, spelled as in [`Live::listed`].
    Listed,
}

/// Measures one request. However it ends, dropping the measurement records one outcome.
///
/// Call its methods in the order in which the facts become known. Only [`Meter::start`](super::Meter::start) is
/// required. A fact that is not reported is absent from the metrics, or counts under `unknown` and `none`.
///
/// ```
/// use prometheus::Registry;
/// use streamgauge_meter::{
///     meter::{Config, Facts, Meter, Outcome},
///     protocol::Peek,
/// };
///
/// # fn main() -> prometheus::Result<()> {
/// # let meter = Meter::register(&Registry::new(), &Config::default(), &["ollama"])?;
/// let request = br#"{"model":"gemma3:270m","prompt":"Why is the sky blue?"}"#;
/// let peek = Peek::read(request);
///
/// let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
/// measurement.model_named(peek.model.as_deref().unwrap_or("unknown"));
/// measurement.request_read(&peek);
/// measurement.upstream_chosen("ollama");
/// measurement.on_end(|ending| assert_eq!(ending.outcome, Outcome::UpstreamError));
/// assert_eq!(meter.live().len(), 1);
///
/// // The request could not be sent.
/// measurement.finish(Outcome::UpstreamError);
/// assert!(meter.live().is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Measurement {
    pub(super) shared: Arc<Shared>,
    pub(super) facts: Facts,
    pub(super) live: Arc<Live>,
    /// Keeps the request in `/streams` until the outcome is recorded.
    pub(super) listed: Option<Listed>,
    pub(super) status: Option<StatusCode>,
    /// Whether the response is a stream, read record by record.
    pub(super) streamed: bool,
    pub(super) coding: Coding,
    pub(super) children: Option<Arc<StreamChildren>>,
    pub(super) on_end: Vec<Hook>,
    pub(super) recorded: bool,
    /// The outcome that is decided before the body ends.
    pub(super) decided: Option<Outcome>,
    /// The reported cause of a failure.
    pub(super) explanation: Option<String>,
    /// The counters for its outcome.
    pub(super) outcomes: Arc<Outcomes>,
    listing: Listing,
    pub(super) trace: Option<TraceParent>,
    /// Seconds; 0 if there was no gap.
    pub(super) longest_client_gap: f64,
    /// The steps of the request, if they are kept.
    pub(super) steps: Option<Vec<TimedStep>>,
    /// Held to the end, so that the label on which this request counts is kept.
    pub(super) place: Option<Arc<Place>>,
    /// Set while the request is at its upstream and may wait for its model.
    pub(super) waiter: Option<Waiter>,
    pub(super) account: Option<Arc<Concurrency>>,
    /// Counts the stream as running until its outcome is recorded.
    pub(super) running: Option<Running>,
    /// Counts the request as in flight until its outcome is recorded.
    pub(super) in_flight: Option<Occupied>,
}

impl Measurement {
    pub(super) fn start(shared: Arc<Shared>, facts: Facts) -> Measurement {
        let (live, listed) = shared.live.enter(facts.route);
        let in_flight = in_flight(&shared, "none", facts.route);
        let outcomes = shared.families.accepted(facts.route);
        Measurement {
            shared,
            facts,
            live,
            listed: Some(listed),
            status: None,
            streamed: false,
            coding: Coding::Identity,
            children: None,
            on_end: Vec::new(),
            recorded: false,
            decided: None,
            explanation: None,
            outcomes,
            listing: Listing::Untold,
            trace: None,
            longest_client_gap: 0.0,
            steps: None,
            place: None,
            waiter: None,
            account: None,
            running: None,
            in_flight: Some(in_flight),
        }
    }

    /// Returns the state that the layers of the body share.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Returns the route.
    #[must_use]
    pub fn route(&self) -> Route {
        self.facts.route
    }

    /// Sets the trace to which the request belongs.
    pub fn traced(&mut self, trace: TraceParent) {
        self.trace = Some(trace);
    }

    /// Returns the trace to which the request belongs, if it belongs to one.
    #[must_use]
    pub fn trace(&self) -> Option<TraceParent> {
        self.trace
    }

    /// From now on, keeps the steps of the request for its [`Ending`].
    pub fn keep_steps(&mut self) {
        let _ = self.steps.get_or_insert_default();
    }

    /// From now on, keeps the chunks of the response, as long as the budget has room. [`Live::take_chunks`] returns them.
    pub fn keep_chunks(&self, budget: Arc<ChunkBudget>) {
        self.live.chunks.begin(budget);
    }

    /// Notes a step of the request. It costs nothing if the steps are not kept.
    pub fn step(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = self.steps.as_mut().filter(|steps| steps.len() < step::MOST) {
            steps.push((self.live.accepted.elapsed(), step()));
        }
    }

    /// Sets the model as the client wrote it.
    pub fn model_named(&self, name: &str) {
        let (key, written) = (canonical_model(name).into_owned(), short_model(name).into_owned());
        // The first name is kept, because a request has one model.
        let _ = self.live.model.set(Named { key, written });
    }

    /// Takes values from the body of the request, without the model: the bytes that may be prompt, and the kind of
    /// the request, which determines the usual silence of its response.
    pub fn request_read(&self, peek: &Peek) {
        self.live.prompt_bytes.store(peek.prompt_bytes, Relaxed);
        self.live.is_of(silence::RequestKind::of(self.live.route, peek));
        // A request has one body.
        let _ = self.live.load.set(peek.load);
    }

    /// Sets the caller, which the log names beside a load of a model, and `/streams`. It is no label.
    pub fn called_by(&self, caller: &str) {
        // The first caller is kept.
        let _ = self.live.caller.set(caller.into());
    }

    /// Adds the time in which the client does not read what is there for it to `counter` too, as it does to
    /// `client_backpressure_seconds_total`. The first counter is kept.
    pub fn client_wait_counted_by(&self, counter: Arc<Counter>) {
        self.live.held.count_for_caller(counter);
    }

    /// Sets the name under which the upstream lists the model, which becomes the model's label. `None`: the model is
    /// not on the list, and gets no label. If the list is not known, do not call this: an answer then shows that the
    /// model exists, and its label has the client's spelling.
    pub fn model_listed(&mut self, name: Option<&str>) {
        self.listing = match name {
            Some(name) => {
                let _ = self.live.listed.set(name.to_owned());
                Listing::Listed
            }
            None => Listing::Missing,
        };
    }

    /// Returns the model's canonical name, if it is known.
    #[must_use]
    pub fn canonical_model(&self) -> Option<&str> {
        self.live.model.get().map(|named| named.key.as_str())
    }

    /// Notes that an upstream was chosen and the request waits for a slot there. Another one may be chosen as long as
    /// nothing was sent; the last one counts. [`CLOUD`] stands for requests that Ollama passes on to its cloud, which
    /// are not work of this machine.
    pub fn queued_at(&mut self, upstream: &str) {
        if self.live.choose(upstream) {
            self.in_flight = Some(in_flight(&self.shared, upstream, self.live.route));
            (self.running, self.account, self.waiter) = (None, None, None);
            self.settle(Claim::Accepted);
        }
    }

    /// Notes that an upstream was chosen and the request is sent there now.
    pub fn upstream_chosen(&mut self, upstream: &str) {
        self.queued_at(upstream);
        if self.live.route.takes_slot() && self.account.is_none() && upstream != CLOUD {
            let account = self.shared.families.concurrency.upstream(upstream);
            self.running = Some(account.stream());
            self.account = Some(account);
            self.waiter = Some(self.wait(upstream));
            let bytes = self.live.prompt_bytes.load(Relaxed);
            let overflows = |context| self.truncation().overflows(bytes, context);
            self.live.overlong.store(self.context().is_some_and(overflows), Relaxed);
        }
    }

    /// Whether the response has a body, as far as is known. A response to HEAD, and a response with status 204 or
    /// 304, has none (RFC 9110 6.4.1), whatever its content type.
    #[must_use]
    pub fn has_body(&self) -> bool {
        let is_bare = |status| matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        !self.facts.is_head && !self.status.is_some_and(is_bare)
    }

    fn wait(&self, upstream: &str) -> Waiter {
        let (shared, label) = (&self.shared, self.model_label());
        let named = self.live.model.get();
        let memory = named.and_then(|named| {
            shared.models.memory(upstream, |memory| {
                let loaded = memory.find(&named.key);
                (loaded.is_some(), memory.asked, loaded.and_then(|loaded| loaded.context))
            })
        });
        let context = memory.and_then(|(.., context)| context);
        let memory = memory.map(|(is_there, asked, _)| (is_there, asked));
        let pushed = shared.families.pushed(upstream, label);
        let options = self.live.load.get().copied().unwrap_or_default();
        let order = Arc::new(Order { options, caller: self.live.caller.get().cloned() });
        let mut waiter = shared.families.loads(upstream, label).wait(Instant::now(), &order, memory, pushed);
        waiter.finds_context(context);
        waiter
    }

    /// Calls `hook` once with the ending, when it is recorded. Several hooks are called in the order in which they
    /// were given.
    pub fn on_end(&mut self, hook: impl FnOnce(&Ending) + Send + Sync + 'static) {
        self.on_end.push(Box::new(hook));
    }

    /// Sets the status that the client gets, unless it has got one early. Call it once, before the body is wrapped.
    pub fn responded(&mut self, status: StatusCode) {
        self.status = Some(status);
        if status.is_success() {
            self.settle(Claim::Answered);
        }
        if !self.live.has_responded_early() {
            self.shared.families.requests.responses.child([self.live.route.label(), status.as_str()]).inc();
        }
    }

    /// Sets the content coding of the response. Call it before the body is wrapped.
    pub fn response_coded(&mut self, coding: Coding) {
        self.coding = coding;
    }

    /// Sets the outcome, whether the body is read or not, if the status would give another one.
    pub fn decide(&mut self, outcome: Outcome) {
        self.decided = Some(outcome);
    }

    /// Reports why no valid response came, in words for the operator, without content of the request.
    pub fn failure_explained(&mut self, why: String) {
        self.explanation = Some(why);
    }

    /// Records no outcome, because another measurement records it. This one is dropped.
    pub fn forget(&mut self) {
        self.recorded = true;
        self.listed = None;
    }

    /// Ends the measurement of a request without a body from an upstream.
    pub fn finish(mut self, outcome: Outcome) {
        self.record(outcome);
    }

    /// Returns the tokens of the context that the request has: those that it asks for, or those with which the model
    /// was last loaded, whichever is less, because a model may have less than a request asks for.
    pub(super) fn context(&self) -> Option<u64> {
        let asked = self.live.load.get().and_then(|options| options.num_ctx).filter(|context| *context > 0);
        asked.into_iter().chain(self.place.as_ref().and_then(|place| place.context())).min()
    }

    /// Returns the densest text of the model, or of the models without a label of their own.
    pub(super) fn truncation(&self) -> &Truncation {
        self.place.as_ref().map_or(&self.shared.truncation, |place| &place.truncation)
    }

    /// Whether Ollama passes the request on to its cloud.
    fn is_cloud(&self) -> bool {
        self.live.upstream().as_deref() == Some(CLOUD)
    }

    /// Returns the label `model`.
    pub(super) fn model_label(&self) -> &str {
        match &self.place {
            _ if !self.live.route.has_model() => "none",
            Some(place) => place.label(),
            None if self.live.model.get().is_some() => {
                if self.is_cloud() {
                    OTHER_CLOUD
                } else {
                    "other"
                }
            }
            None => "unknown",
        }
    }

    /// Finds the model's label, or claims one, and selects the counters for its outcome.
    pub(super) fn settle(&mut self, claim: Claim) {
        if self.place.is_none() {
            self.place = self.find_place(claim);
        }
        let (upstream, families) = (self.live.upstream(), &self.shared.families);
        if self.outcomes.is_of(upstream.as_deref(), self.model_label()) {
            return;
        }
        self.outcomes = families.outcomes(upstream.as_deref(), self.model_label(), self.live.route);
        if let (Some(upstream), true) = (upstream, self.waiter.is_some()) {
            let loads = families.loads(&upstream, self.model_label());
            self.waiter.iter_mut().for_each(|waiter| waiter.moves_to(&loads));
        }
    }

    fn find_place(&self, claim: Claim) -> Option<Arc<Place>> {
        let (shared, route) = (&self.shared, self.live.route);
        let named = self.live.model.get().filter(|_| route.has_model())?;
        let label = match (self.listing, claim) {
            // Requests that show, copy or delete a model do not use it.
            _ if !route.takes_slot() => None,
            (Listing::Listed, _) => self.live.listed.get(),
            (Listing::Untold, Claim::Answered) => Some(&named.written),
            _ => None,
        };
        match label {
            Some(label) => shared.claim(&named.key, label, claim),
            None => shared.models.find(&named.key, route.takes_slot()),
        }
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        if !self.recorded {
            self.record(self.abandoned());
        }
    }
}

impl fmt::Debug for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measurement").field("live", &self.live).field("status", &self.status).finish()
    }
}

fn in_flight(shared: &Shared, upstream: &str, route: Route) -> Occupied {
    Occupied::enter(shared.families.requests.in_flight.child([upstream, route.label()]))
}
