//! Decides which requests are sampled.

use std::str::FromStr;

use http::{HeaderMap, Method};
use opentelemetry::trace::{SpanKind, TraceId as RandomId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample};

use crate::meter::{TraceId, TraceParent};

/// The most bytes of a `tracestate` that is repeated in a span, as W3C Trace Context demands.
const LONGEST_STATE: usize = 512;

/// A request whose span is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    pub(super) trace: TraceId,
    pub(super) span: [u8; 8],
    /// The span of the client; `None`: the request begins a trace.
    pub(super) parent: Option<[u8; 8]>,
    /// The field `tracestate` of the request, or an empty text.
    pub(super) state: String,
    pub(super) method: Method,
}

impl Sampled {
    /// Returns the trace, if it begins with this request, with the request's own span.
    #[must_use]
    pub fn root(&self) -> Option<TraceParent> {
        let own = TraceParent { trace: self.trace, span: self.span, is_sampled: true };
        self.parent.is_none().then_some(own)
    }
}

/// Samples requests without a parent by a ratio, and the others as their parent.
#[derive(Debug)]
pub(super) struct RootSampler {
    roots: Sampler,
    ids: RandomIdGenerator,
}

impl RootSampler {
    pub(super) fn new(ratio: f64) -> RootSampler {
        RootSampler { roots: Sampler::TraceIdRatioBased(ratio), ids: RandomIdGenerator::default() }
    }

    /// Returns the ids of the request's span. `None`: the request is not sampled.
    pub(super) fn sample(
        &self,
        parent: Option<TraceParent>,
        headers: &HeaderMap,
        method: &Method,
    ) -> Option<Sampled> {
        let (trace, span, state) = match parent {
            Some(parent) if !parent.is_sampled => return None,
            Some(parent) => (parent.trace, Some(parent.span), state(headers)),
            // A state without a valid parent means nothing.
            None => (self.root()?, None, String::new()),
        };
        Some(Sampled {
            trace,
            span: self.ids.new_span_id().to_bytes(),
            parent: span,
            state,
            method: method.clone(),
        })
    }

    /// A new trace, if it is sampled.
    fn root(&self) -> Option<TraceId> {
        let id: RandomId = self.ids.new_trace_id();
        let decided = self.roots.should_sample(None, id, "", &SpanKind::Server, &[], &[]);
        (decided.decision == SamplingDecision::RecordAndSample).then(|| TraceId::new(id.to_bytes()))?
    }
}

/// The fields `tracestate`, combined. A malformed one is dropped.
fn state(headers: &HeaderMap) -> String {
    let fields: Option<Vec<_>> =
        headers.get_all("tracestate").iter().map(|value| value.to_str().ok()).collect();
    let whole = fields.unwrap_or_default().join(",");
    if whole.len() > LONGEST_STATE {
        return String::new();
    }
    TraceState::from_str(&whole).map(|state| state.header()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn sampled(ratio: f64, parent: Option<&str>) -> Option<Sampled> {
        let parent = parent.and_then(TraceParent::parse);
        RootSampler::new(ratio).sample(parent, &HeaderMap::new(), &Method::GET)
    }

    #[test]
    fn request_with_parent_follows_it_whatever_the_ratio() {
        let child = sampled(0.0, Some(PARENT)).unwrap();
        assert_eq!(child.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(child.parent, Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        assert_eq!(child.root(), None);
        assert_eq!(sampled(1.0, Some(&PARENT.replace("-01", "-00"))), None);
    }

    #[test]
    fn roots_are_sampled_by_the_ratio() {
        assert!(sampled(1.0, None).is_some() && sampled(0.0, None).is_none());
        let sampler = RootSampler::new(0.1);
        let one = || sampler.sample(None, &HeaderMap::new(), &Method::GET);
        let count = (0..20_000).filter(|_| one().is_some()).count();
        // Six standard deviations.
        assert!((1_745..=2_255).contains(&count), "{count}");
        let root = std::iter::repeat_with(one).flatten().next().unwrap();
        assert_eq!(root.root().map(|own| (own.trace, own.span)), Some((root.trace, root.span)));
    }

    #[test]
    fn state_is_repeated_if_it_is_well_formed() {
        let state_of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("tracestate", value.parse().unwrap());
            }
            state(&headers)
        };
        assert_eq!(state_of(&[]), "");
        assert_eq!(state_of(&["congo=t61,rojo=00f0"]), "congo=t61,rojo=00f0");
        assert_eq!(state_of(&["congo=t61", "rojo=00f0"]), "congo=t61,rojo=00f0");
        assert_eq!(state_of(&["no member"]), "");
        assert_eq!(state_of(&["A=1"]), "");
        assert_eq!(state_of(&[&format!("a={}", "b".repeat(600))]), "");
    }
}
