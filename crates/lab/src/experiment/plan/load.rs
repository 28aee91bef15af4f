//! An open-loop load: requests that arrive at their own times, whatever the responses do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Span;
use crate::analysis::{Load, Slo, statistic::Random};

/// With more requests in one run, the recording becomes too large to analyse.
pub(super) const MOST_REQUESTS: f64 = 100_000.0;

/// The load of a condition, as it is written. `rates` is resolved to one condition for each rate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadDraft {
    #[serde(default)]
    arrivals: Arrivals,
    rate: Option<f64>,
    pub(super) rates: Option<Vec<f64>>,
    times: Option<Vec<f64>>,
    #[serde(rename = "for")]
    span: Option<Span>,
    #[serde(default = "outstanding")]
    outstanding: u32,
    #[serde(default = "lateness")]
    lateness: Span,
    #[serde(default = "stop_after")]
    stop_after: u32,
    #[serde(default)]
    slo: SloPlan,
}

fn outstanding() -> u32 {
    1024
}

fn lateness() -> Span {
    Span(Duration::from_millis(50))
}

fn stop_after() -> u32 {
    2
}

fn share() -> f64 {
    0.99
}

/// The load of a condition, resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadPlan {
    /// How the times of the requests are chosen.
    pub(crate) arrivals: Arrivals,
    /// Requests per second. `None`: `times` lists the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    /// The times of the requests, in seconds since the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<Vec<f64>>,
    /// How long requests arrive. Unused with `times`.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub(crate) span: Option<Span>,
    /// The most requests that may be outstanding. A further request is not sent, and counts as failed.
    pub(crate) outstanding: u32,
    /// A run is invalid if the load generator sent more than one request in a hundred later than this.
    pub(crate) lateness: Span,
    /// After this many rates in a row that missed the SLO, the higher rates are skipped. 0: no rate is skipped.
    pub(crate) stop_after: u32,
    /// The service level objectives.
    pub(crate) slo: SloPlan,
}

/// How the times of requests are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// A Poisson process: independent, exponentially distributed times between requests.
    #[default]
    Poisson,
    /// The same time between all requests.
    Constant,
}

/// The service level objectives of each request, and the share of the requests that has to meet all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SloPlan {
    /// The largest time to the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttft: Option<Span>,
    /// The largest mean gap between chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<Span>,
    /// The largest single gap between chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stall: Option<Span>,
    /// The largest time to the end of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<Span>,
    /// The share of the requests that has to meet all objectives.
    #[serde(default = "share")]
    pub(crate) share: f64,
}

impl Default for SloPlan {
    fn default() -> SloPlan {
        SloPlan { ttft: None, gap: None, stall: None, total: None, share: share() }
    }
}

impl SloPlan {
    pub(super) fn spans(&self) -> [(&'static str, Option<Span>); 4] {
        [("ttft", self.ttft), ("gap", self.gap), ("stall", self.stall), ("total", self.total)]
    }
}

impl LoadDraft {
    /// Returns the first pair of settings that exclude each other.
    pub(super) fn conflict(&self) -> Option<&'static str> {
        match &self.rates {
            Some(_) if self.rate.is_some() => {
                Some("load.rates and load.rate exclude each other: write one of them")
            }
            Some(_) if self.times.is_some() => {
                Some("load.rates and load.times exclude each other: write one of them")
            }
            Some(rates) if rates.is_empty() => Some("load.rates is empty"),
            _ => None,
        }
    }

    /// Returns the load with this rate, or with its own.
    pub(super) fn resolve(&self, rate: Option<f64>) -> LoadPlan {
        LoadPlan {
            arrivals: self.arrivals,
            rate: rate.or(self.rate),
            times: self.times.clone(),
            span: self.span,
            outstanding: self.outstanding,
            lateness: self.lateness,
            stop_after: self.stop_after,
            slo: self.slo.clone(),
        }
    }
}

impl LoadPlan {
    /// Returns the time in which requests arrive, in seconds.
    #[must_use]
    pub(crate) fn seconds(&self) -> f64 {
        match &self.times {
            Some(times) => times.iter().copied().fold(0.0, f64::max),
            None => self.span.unwrap_or_default().0.as_secs_f64(),
        }
    }

    /// Returns the requests per second.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        match (&self.times, self.rate) {
            (Some(times), _) => times.len() as f64 / self.seconds().max(f64::MIN_POSITIVE),
            (None, rate) => rate.unwrap_or_default(),
        }
    }

    /// Returns the time of each request in seconds since the start of the run, in ascending order. The same seed gives
    /// the same times.
    #[must_use]
    pub(crate) fn due(&self, seed: u64) -> Vec<f64> {
        let mut times = match (&self.times, self.arrivals) {
            (Some(times), _) => times.clone(),
            (None, Arrivals::Constant) => {
                let (rate, requests) = (self.rate(), (self.rate() * self.seconds()).ceil() as u32);
                (0..requests).map(|request| f64::from(request) / rate).collect()
            }
            (None, Arrivals::Poisson) => {
                let (mut random, mut now, mut times) = (Random::new(seed), 0.0, Vec::new());
                loop {
                    // The exponential distribution by inversion. `unit` is below 1, so the logarithm is finite.
                    now -= libm::log(1.0 - random.unit()) / self.rate();
                    if now >= self.seconds() || times.len() as f64 >= 2.0 * MOST_REQUESTS {
                        break times;
                    }
                    times.push(now);
                }
            }
        };
        times.sort_by(f64::total_cmp);
        times
    }

    /// Returns the load in the form of the analysis.
    #[must_use]
    pub(crate) fn load(&self, condition: &str, series: Option<&str>) -> Load {
        let seconds = |span: Option<Span>| span.map(|span| span.0.as_secs_f64());
        Load {
            condition: condition.into(),
            series: series.map(Into::into),
            rate: self.rate(),
            seconds: self.seconds(),
            lateness: self.lateness.0.as_secs_f64(),
            slo: Slo {
                ttft: seconds(self.slo.ttft),
                gap: seconds(self.slo.gap),
                stall: seconds(self.slo.stall),
                total: seconds(self.slo.total),
                share: self.slo.share,
            },
            recording: 0,
        }
    }

    /// Returns the mistakes, one sentence each.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut say = |mistake: String| mistakes.push(mistake);
        match (&self.times, self.rate, self.span) {
            (None, None, _) => say("load needs rate, rates or times".into()),
            (Some(_), Some(_), _) => {
                say("load.times and load.rate exclude each other: write one of them".into())
            }
            (Some(_), None, Some(_)) => say("load.for is for a rate: remove it, or remove load.times".into()),
            (Some(times), None, None) => {
                if times.is_empty() || times.iter().any(|time| !(time.is_finite() && *time >= 0.0)) {
                    say("load.times must be a list of seconds, 0 or greater".into());
                }
                if times.len() as f64 > MOST_REQUESTS {
                    say(format!("load.times has {} requests; {MOST_REQUESTS} can run", times.len()));
                }
            }
            (None, Some(rate), _) if !(rate.is_finite() && rate > 0.0) => {
                say("load.rate must be above 0, in requests per second".into());
            }
            (None, Some(_), None) => {
                say("load.for is missing: write how long requests arrive, as in \"30s\"".into())
            }
            (None, Some(rate), Some(span)) => {
                let requests = rate * span.0.as_secs_f64();
                if !(1.0..=MOST_REQUESTS).contains(&requests) {
                    say(format!("load has {requests:.1} requests; 1 to {MOST_REQUESTS} can run in one run"));
                }
            }
        }
        if self.outstanding == 0 {
            say("load.outstanding must be 1 or more".into());
        }
        for (name, span) in self.slo.spans() {
            if span.is_some_and(|span| span.0.is_zero()) {
                say(format!("load.slo.{name} must be a time above 0, as in \"1s\""));
            }
        }
        if !(self.slo.share > 0.0 && self.slo.share <= 1.0) {
            say("load.slo.share must be above 0 and at most 1".into());
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arrivals: Arrivals, rate: f64) -> LoadPlan {
        let span = Some(Span(Duration::from_secs(1000)));
        LoadPlan { arrivals, rate: Some(rate), span, ..LoadPlan::default() }
    }

    #[test]
    fn constant_arrivals_have_equal_distances() {
        let times = load(Arrivals::Constant, 4.0).due(1);
        assert_eq!((times.len(), times[0], times[1], times[3999]), (4000, 0.0, 0.25, 999.75));
    }

    #[test]
    fn poisson_arrivals_have_exponential_distances() {
        let times = load(Arrivals::Poisson, 4.0).due(1);
        // 4,000 requests are expected, with a standard deviation of √4000 = 63.
        assert!((3_750..4_250).contains(&times.len()), "{}", times.len());
        let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        // Kolmogorov and Smirnov: 1.628 / √n is the critical distance at the level of 1 %.
        let n = gaps.len() as f64;
        let distance = gaps.iter().zip(0_u32..).map(|(gap, place)| {
            let expected = 1.0 - (-4.0 * gap).exp();
            (expected - f64::from(place) / n).abs().max((expected - f64::from(place + 1) / n).abs())
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.628 / n.sqrt(), "{distance}");
        // Neighbours are independent: their correlation has a standard deviation of 1 / √n.
        let pairs: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let lagged: f64 = pairs.windows(2).map(|pair| (4.0 * pair[0] - 1.0) * (4.0 * pair[1] - 1.0)).sum();
        assert!((lagged / n).abs() < 4.0 / n.sqrt(), "{}", lagged / n);
    }

    #[test]
    fn poisson_arrivals_depend_only_on_the_seed() {
        let load = load(Arrivals::Poisson, 2.0);
        assert_eq!(load.due(7), load.due(7));
        assert_ne!(load.due(7), load.due(8));
    }
}
