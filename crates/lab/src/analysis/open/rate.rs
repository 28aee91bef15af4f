//! One rate of an open-loop load over its runs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    super::{
        Energy, Load, Measure, Settings,
        consumption::Used,
        statistic::{Interval, Mean, Proportion, centre, mean, percentile_of_sorted, proportion},
    },
    request::{Objective, Request},
};

/// The smallest number of runs with an interval, as for comparisons.
const RUNS: usize = 4;

/// The requests of one rate over its valid runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rate {
    /// The load.
    pub(crate) load: Load,
    /// The valid runs.
    pub(crate) runs: usize,
    /// The runs in which the load generator was too late. No figure includes them.
    pub(crate) invalid: usize,
    /// The requests that were due.
    pub(crate) requests: usize,
    /// The requests that failed, those that were not sent included.
    pub(crate) failed: usize,
    /// The requests that were not sent, because too many were outstanding.
    pub(crate) not_sent: usize,
    /// The share of the requests of a run that met all objectives, over the runs.
    pub(crate) met: Option<Mean>,
    /// The share of all requests that met all objectives, with its exact interval.
    pub(crate) share: Option<Proportion>,
    /// Requests per second that met all objectives, over the runs. Its interval contains that of the share, times the rate
    /// at which the requests were due.
    pub(crate) goodput: Option<Mean>,
    /// Seconds from the scheduled time to the first token.
    pub(crate) ttft: Option<Quantiles>,
    /// The mean gap of each response, in seconds.
    pub(crate) gap: Option<Quantiles>,
    /// The largest gap of each response, in seconds.
    pub(crate) stall: Option<Quantiles>,
    /// Seconds from the scheduled time to the end of the response.
    pub(crate) total: Option<Quantiles>,
    /// Seconds by which the generator sent the requests late, over all runs, the invalid ones included.
    pub(crate) lateness: Option<Quantiles>,
    /// The share of the requests that missed each objective. A failed request misses only the objective `answer`.
    pub(crate) missed: BTreeMap<Objective, f64>,
    /// The energy of the valid runs. `None`: no GPU was read during them.
    pub(crate) energy: Option<Energy>,
    /// Whether the SLO is held. `None`: no run is valid.
    pub(crate) holds: Option<bool>,
    /// The share of each valid run in the result.
    #[serde(skip)]
    pub(super) outcomes: Vec<RunOutcome>,
    /// Whether the exact interval of the share and that over runs exclude the goal, so that more requests would hardly change
    /// the verdict.
    pub(crate) certain: bool,
}

/// One valid run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunOutcome {
    /// Its repetition. `None`: the loads did not take turns.
    pub(super) repetition: Option<u32>,
    /// The share of the requests that met the SLO.
    pub(super) met: f64,
    /// Their number.
    pub(super) requests_met: usize,
    /// Requests per second that met it.
    pub(super) goodput: f64,
    /// The 99th percentiles of the latencies that the SLO names, or of the time to the first token if it names none.
    /// `None`: the quantile falls on a request that failed.
    pub(super) latencies: BTreeMap<Measure, Option<f64>>,
}

/// Quantiles over requests. A failed request counts as one that takes for ever: a quantile that falls on one is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    /// The number of requests.
    pub(crate) n: usize,
    /// The median.
    pub(crate) p50: Option<f64>,
    /// The 90th percentile.
    pub(crate) p90: Option<f64>,
    /// The 99th percentile.
    pub(crate) p99: Option<f64>,
    /// The largest.
    pub(crate) max: Option<f64>,
}

impl Quantiles {
    fn of(values: impl Iterator<Item = f64>) -> Option<Quantiles> {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |q| percentile_of_sorted(&values, q).filter(|value| value.is_finite());
        (!values.is_empty()).then(|| Quantiles {
            n: values.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
        })
    }
}

/// One run of a load.
#[derive(Clone, Debug)]
pub(super) struct LoadRun {
    pub(super) repetition: Option<u32>,
    pub(super) requests: Vec<Request>,
    /// The energy of the GPUs during the run.
    pub(super) used: Option<Used>,
}

/// A latency of a request.
type Latency = fn(&Request) -> Option<f64>;

/// Returns a latency. A failed request takes for ever.
fn waited(request: &Request, latency: Latency) -> Option<f64> {
    if request.failed { Some(f64::INFINITY) } else { latency(request) }
}

impl LoadRun {
    fn outcome(&self, load: &Load) -> RunOutcome {
        let slo = &load.slo;
        let named = slo.gap.or(slo.stall).or(slo.total).is_some();
        let latencies: [(Measure, bool, Latency); 4] = [
            (Measure::TtftP99, slo.ttft.is_some() || !named, |request| request.ttft),
            (Measure::MeanGapP99, slo.gap.is_some(), |request| request.gap),
            (Measure::LongestGapP99, slo.stall.is_some(), |request| request.stall),
            (Measure::TotalP99, slo.total.is_some(), |request| Some(request.total)),
        ];
        let p99 = |latency: Latency| {
            Quantiles::of(self.requests.iter().filter_map(|request| waited(request, latency)))?.p99
        };
        let met = load.met(&self.requests);
        RunOutcome {
            repetition: self.repetition,
            met,
            requests_met: load.count_met(&self.requests),
            goodput: met * self.requests.len() as f64 / load.seconds,
            latencies: latencies
                .into_iter()
                .filter(|(_, named, _)| *named)
                .map(|(measure, _, latency)| (measure, p99(latency)))
                .collect(),
        }
    }
}

impl Rate {
    /// Returns the interval of the share of the requests that met all objectives.
    pub(crate) fn range(&self) -> Option<Interval> {
        wider(self.share.map(|share| share.interval), self.met.and_then(|met| met.interval))
    }

    /// Summarises the runs of a load.
    pub(super) fn of(load: &Load, runs: &[LoadRun], settings: &Settings) -> Rate {
        let (valid, invalid): (Vec<&LoadRun>, Vec<&LoadRun>) =
            runs.iter().partition(|run| load.is_valid(&run.requests));
        let requests = || valid.iter().flat_map(|run| run.requests.iter());
        let count = requests().count();
        let outcomes: Vec<RunOutcome> = valid.iter().map(|run| run.outcome(load)).collect();
        let shares: Vec<f64> = outcomes.iter().map(|run| run.met).collect();
        let goodputs: Vec<f64> = outcomes.iter().map(|run| run.goodput).collect();
        let used: Vec<Used> = valid.iter().filter_map(|run| run.used).collect();
        let mut missed = BTreeMap::new();
        for objective in requests().flat_map(|request| load.slo.missed(request)) {
            *missed.entry(objective).or_default() += 1.0 / count as f64;
        }
        let over = |value: Latency| Quantiles::of(requests().filter_map(|request| waited(request, value)));
        let met = over_runs(&shares, settings.level, 1.0);
        let share = proportion(outcomes.iter().map(|run| run.requests_met).sum(), count, settings.level).ok();
        let range = wider(share.map(|share| share.interval), met.and_then(|met| met.interval));
        let due = count as f64 / (valid.len() as f64 * load.seconds);
        let goodput = over_runs(&goodputs, settings.level, f64::INFINITY).map(|found| Mean {
            interval: wider(share.map(|share| share.interval.map(|end| end * due)), found.interval),
            ..found
        });
        Rate {
            runs: valid.len(),
            invalid: invalid.len(),
            requests: count,
            failed: requests().filter(|request| request.failed).count(),
            not_sent: requests().filter(|request| request.not_sent).count(),
            goodput,
            ttft: over(|request| request.ttft),
            gap: over(|request| request.gap),
            stall: over(|request| request.stall),
            total: over(|request| Some(request.total)),
            lateness: Quantiles::of(runs.iter().flat_map(|run| &run.requests).map(|request| request.late)),
            energy: Energy::over(&used, settings.level),
            missed,
            holds: (!shares.is_empty()).then(|| centre(&shares) >= load.slo.share),
            outcomes,
            certain: range.is_some_and(|range| !range.contains(load.slo.share)),
            met,
            share,
            load: load.clone(),
        }
    }
}

/// Returns the interval that contains both: the exact one knows nothing of what the requests of a run have in common, and
/// that over runs knows nothing if the runs are few or equal.
pub(super) fn wider(exact: Option<Interval>, runs: Option<Interval>) -> Option<Interval> {
    let Some((exact, runs)) = exact.zip(runs) else { return exact.or(runs) };
    Some(Interval { low: exact.low.min(runs.low), high: exact.high.max(runs.high), ..exact })
}

/// Returns the mean over runs with Student's interval, limited to values from 0 to `most`. Fewer than four runs, and runs
/// that are all equal, have no interval.
pub(super) fn over_runs(values: &[f64], level: f64, most: f64) -> Option<Mean> {
    let found = mean(values, level).ok()?;
    let varies = found.deviation.is_some_and(|deviation| deviation > 0.0);
    let limit = |interval: Interval| interval.map(|end| end.clamp(0.0, most));
    let interval = found.interval.filter(|_| values.len() >= RUNS && varies).map(limit);
    Some(Mean { interval, ..found })
}
