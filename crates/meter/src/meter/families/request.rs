//! The families of requests and their responses.

use prometheus::{Gauge, IntCounter, Registry};

use crate::{
    metric::{Family, Histogram, buckets, gauge, int_counter},
    protocol::Route,
};

#[derive(Debug)]
pub(in crate::meter) struct RequestFamilies {
    pub(super) total: Family<IntCounter, 4>,
    pub(super) finishes: Family<IntCounter, 3>,
    pub(in crate::meter) left_early: Family<IntCounter, 2>,
    pub(in crate::meter) responses: Family<IntCounter, 2>,
    pub(in crate::meter) duration: Family<Histogram, 2>,
    pub(in crate::meter) in_flight: Family<Gauge, 2>,
    pub(in crate::meter) usage_missing: Family<IntCounter, 1>,
    pub(in crate::meter) usage_understated: Family<IntCounter, 1>,
}

impl RequestFamilies {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<RequestFamilies> {
        Ok(RequestFamilies {
            total: Family::register(
                registry,
                "requests_total",
                "Requests that have ended, by outcome.",
                ["upstream", "route", "model", "outcome"],
                int_counter,
            )?,
            finishes: Family::register(
                registry,
                "finish_total",
                "Generations that were answered, by the reason why the model stopped.",
                ["route", "model", "reason"],
                int_counter,
            )?,
            left_early: Family::register(
                registry,
                "left_before_first_token_total",
                "Generations whose client left before the first content arrived.",
                ["upstream", "model"],
                int_counter,
            )?,
            responses: Family::register(
                registry,
                "responses_total",
                "Responses, by the status code that was sent to the client.",
                ["route", "code"],
                int_counter,
            )?,
            duration: Family::register(
                registry,
                "request_duration_seconds",
                "Duration of requests, from accept to the end, seconds.",
                ["route", "model"],
                || Histogram::new(buckets::REQUEST),
            )?,
            in_flight: Family::register(
                registry,
                "requests_in_flight",
                "Requests in progress.",
                ["upstream", "route"],
                gauge,
            )?,
            usage_missing: Family::register(
                registry,
                "usage_missing_total",
                "Generations that ended without an output count.",
                ["route"],
                int_counter,
            )?,
            usage_understated: Family::register(
                registry,
                "usage_understated_total",
                "Streams whose reported output count is below the number of content records that arrived.",
                ["route"],
                int_counter,
            )?,
        })
    }

    /// Creates the children of closed lists, which start at zero.
    pub(super) fn open(&self, upstreams: &[&str]) {
        for upstream in upstreams {
            for route in Route::ALL {
                let _ = self.in_flight.child([upstream, route.label()]);
            }
        }
        for route in Route::ALL.into_iter().filter(|route| route.generates()) {
            let _ = self.usage_missing.child([route.label()]);
            let _ = self.usage_understated.child([route.label()]);
        }
    }

    /// Ends the series of a model.
    pub(super) fn forget(&self, model: &str) {
        self.total.retain(|[_, _, known, _]| known != model);
        self.finishes.retain(|[_, known, _]| known != model);
        self.left_early.retain(|[_, known]| known != model);
        self.duration.retain(|[_, known]| known != model);
    }
}
