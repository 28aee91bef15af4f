//! A sweep: one load at several rates, up to the rate that is too high.

use serde::Serialize;

#[cfg(feature = "experiment")]
use super::super::Slo;
use super::{super::statistic::more_to_exceed, rate::Rate, request::Objective};

/// The rates of one sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sweep {
    /// Its name.
    pub(crate) name: String,
    /// The rates in ascending order, without those that the stop rule skipped.
    pub(crate) rates: Vec<Rate>,
    /// The highest rate that held the SLO, and below which no rate missed it. In requests per second.
    pub(crate) holds: Option<f64>,
    /// The lowest rate that missed the SLO.
    pub(crate) misses: Option<f64>,
    /// The rate with the highest goodput, if a higher rate had less. `None`: the sweep ended before it.
    pub(crate) knee: Option<f64>,
    /// The rates that may be the knee, in ascending order: the intervals of their goodput overlap with that of the knee.
    pub(crate) knee_range: Vec<f64>,
    /// The objective that most requests of the lowest rate that missed the SLO missed.
    pub(crate) first: Option<Objective>,
}

impl Sweep {
    pub(super) fn of(name: String, mut rates: Vec<Rate>) -> Sweep {
        rates.sort_by(|a, b| a.load.rate.total_cmp(&b.load.rate));
        let judged = || rates.iter().filter(|rate| rate.holds.is_some());
        let misses = judged().find(|rate| rate.holds == Some(false));
        let holds = judged().take_while(|rate| rate.holds == Some(true)).last();
        let most = |objectives: &Rate| {
            let most = objectives.missed.iter().max_by(|a, b| a.1.total_cmp(b.1))?;
            Some(*most.0)
        };
        let good = |rate: &Rate| rate.goodput.map_or(0.0, |goodput| goodput.value);
        let best = judged().max_by(|a, b| good(a).total_cmp(&good(b)));
        let last = judged().next_back();
        let knee =
            best.filter(|best| good(best) > 0.0 && last.is_some_and(|last| last.load.rate > best.load.rate));
        let interval = |rate: &Rate| rate.goodput.and_then(|goodput| goodput.interval);
        let least = knee.and_then(interval).map(|interval| interval.low);
        let may_be =
            |rate: &&Rate| least.is_some_and(|least| interval(rate).is_none_or(|found| found.high >= least));
        let knee_range = judged().filter(may_be).map(|rate| rate.load.rate).collect();
        Sweep {
            holds: holds.map(|rate| rate.load.rate),
            misses: misses.map(|rate| rate.load.rate),
            first: misses.and_then(most),
            knee: knee.map(|knee| knee.load.rate),
            knee_range,
            name,
            rates,
        }
    }

    #[cfg(feature = "experiment")]
    fn rate(&self, wanted: Option<f64>) -> Option<&Rate> {
        self.rates.iter().find(|rate| Some(rate.load.rate) == wanted)
    }

    /// Returns the verdict in one sentence.
    #[cfg(feature = "experiment")]
    #[must_use]
    pub(crate) fn sentence(&self) -> String {
        let Some(any) = self.rates.iter().find(|rate| rate.holds.is_some()) else {
            return format!("{}: every run is invalid, because the load generator was too late.", self.name);
        };
        let slo = any.load.slo.text();
        let share = |wanted: Option<f64>| self.rate(wanted).map_or(String::new(), shown_share);
        let name = &self.name;
        let mut text = match (self.holds, self.misses) {
            (Some(holds), None) => format!(
                "{name} holds the SLO ({slo}) at every rate, up to {} ({}): a higher rate would show the limit",
                shown(holds),
                share(self.holds)
            ),
            (Some(holds), Some(misses)) => format!(
                "{name} holds the SLO ({slo}) up to {} ({}), and misses it at {misses} ({})",
                shown(holds),
                share(self.holds),
                share(self.misses)
            ),
            (None, Some(misses)) => format!(
                "{name} misses the SLO ({slo}) at the lowest rate, {} ({})",
                shown(misses),
                share(self.misses)
            ),
            (None, None) => format!("{name} has no valid run"),
        };
        if let Some(knee) = self.rate(self.knee) {
            let goodput = knee.goodput.map_or(f64::NAN, |goodput| goodput.value);
            text += &format!(
                "; the knee is at {}, with the highest goodput, {goodput:.2} per second{}",
                shown(knee.load.rate),
                self.knee_certainty()
            );
        } else if self.misses.is_some() {
            text += &format!("; {}", self.without_knee());
        }
        if let (Some(first), Some(rate)) = (self.first, self.rate(self.misses)) {
            let part = rate.missed.get(&first).copied().unwrap_or_default();
            text +=
                &format!("; what fails first is {}, of {:.1} % of the requests", first.name(), 100.0 * part);
        }
        text + "."
    }

    /// Returns the verdict in fewer and fewer words: the limit, the knee, and the goodput and the failures there.
    #[cfg(feature = "experiment")]
    pub(crate) fn brief(&self) -> Vec<String> {
        let Some(any) = self.rates.iter().find(|rate| rate.holds.is_some()) else {
            return vec![self.sentence()];
        };
        let slo = format!(" ({})", any.load.slo.text());
        let (whole, plain) = (|rate: &Rate| brief_share(rate, true), |rate: &Rate| brief_share(rate, false));
        let none = |_: &Rate| String::new();
        let knee = self.brief_knee(true);
        vec![
            format!("{}. {knee}", self.brief_limit(&slo, whole)),
            format!("{}. {knee}", self.brief_limit(&slo, plain)),
            format!("{}. {}", self.brief_limit(&slo, plain), self.brief_knee(false)),
            format!("{}. {knee}", self.brief_limit("", plain)),
            format!("{}. {}", self.brief_limit("", none), self.brief_knee(false)),
        ]
    }

    #[cfg(feature = "experiment")]
    fn brief_limit(&self, slo: &str, share: impl Fn(&Rate) -> String) -> String {
        let name = &self.name;
        let at = |wanted: Option<f64>| self.rate(wanted).map_or(String::new(), &share);
        match (self.holds, self.misses) {
            (Some(holds), None) => {
                format!("{name} holds the SLO{slo} at every rate, up to {}{}", shown(holds), at(self.holds))
            }
            (Some(holds), Some(misses)) => {
                let first = match self.first {
                    None => String::new(),
                    Some(Objective::Answer) => ", mostly by failures".to_owned(),
                    Some(first) => format!(", mostly in {}", first.name()),
                };
                format!(
                    "{name} holds the SLO{slo} up to {}{} and misses it at {}{}{first}",
                    shown(holds),
                    at(self.holds),
                    rounded(misses),
                    at(self.misses)
                )
            }
            (None, Some(misses)) => {
                format!("{name} misses the SLO{slo} at the lowest rate, {}{}", shown(misses), at(self.misses))
            }
            (None, None) => format!("{name} has no valid run"),
        }
    }

    /// Returns the knee, or the rate that the limit is about if there is none, with its goodput and its failures.
    #[cfg(feature = "experiment")]
    fn brief_knee(&self, with_interval: bool) -> String {
        let knee = self.rate(self.knee);
        let limit = self.rate(self.holds).or_else(|| self.rate(self.misses));
        let Some((rate, goodput)) = knee.or(limit).and_then(|rate| Some((rate, rate.goodput?))) else {
            return String::new();
        };
        let range = goodput
            .interval
            .filter(|_| with_interval)
            .map_or(String::new(), |interval| format!(" ({:.2} to {:.2})", interval.low, interval.high));
        let failed = 100.0 * rate.failed as f64 / rate.requests.max(1) as f64;
        let there = format!("goodput {:.2}/s{range}, {failed:.1} % failed", goodput.value);
        let at = shown(rate.load.rate);
        let highest = self.rates.iter().rfind(|rate| rate.holds.is_some()).map(|rate| rate.load.rate);
        match (knee, self.knee_range.as_slice()) {
            (None, _) => format!("No knee was seen. At {at}: {there}."),
            (Some(_), [low, .., high]) => {
                let beyond = if Some(*high) == highest { " or beyond" } else { "" };
                format!(
                    "The knee is at {at} (not certain: {} to {}{beyond}): {there}.",
                    rounded(*low),
                    rounded(*high)
                )
            }
            (Some(_), [_]) => format!("The knee is at {at} (certain): {there}."),
            (Some(_), []) => format!("The knee is at {at}: {there}."),
        }
    }

    /// Returns where the goodput is highest, in one sentence.
    #[cfg(feature = "experiment")]
    pub(crate) fn knee_sentence(&self) -> String {
        match self.knee {
            Some(knee) => {
                let certainty = self.knee_certainty();
                format!(
                    "The knee is at {}{certainty}: a higher rate brings fewer good responses.",
                    shown(knee)
                )
            }
            None => format!("No knee was seen: {}.", self.without_knee()),
        }
    }

    /// Returns how sure the place of the knee is.
    #[cfg(feature = "experiment")]
    fn knee_certainty(&self) -> String {
        let highest = self.rates.iter().rfind(|rate| rate.holds.is_some()).map(|rate| rate.load.rate);
        match self.knee_range.as_slice() {
            [] => String::new(),
            [_] => " (certain: the 95 % interval of no other rate reaches it)".into(),
            [low, .., high] => {
                let beyond = if Some(*high) == highest { ", or beyond" } else { "" };
                format!(" (not certain: it may be from {} to {}{beyond})", rounded(*low), shown(*high))
            }
        }
    }

    /// Returns why no knee was seen.
    #[cfg(feature = "experiment")]
    fn without_knee(&self) -> &'static str {
        let goodputs = || self.rates.iter().filter_map(|rate| rate.goodput);
        if goodputs().all(|goodput| goodput.value == 0.0) {
            "no request met the SLO"
        } else if goodputs().count() == 1 {
            "one rate shows no knee"
        } else {
            "the goodput was highest at the highest rate"
        }
    }

    /// Returns the reasons why the verdict may be wrong.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for rate in &self.rates {
            let name = &rate.load.condition;
            if rate.invalid > 0 {
                let p99 = rate.lateness.and_then(|late| late.p99).unwrap_or(f64::NAN);
                notes.push(format!(
                    "{} of {} runs of {name} are invalid and left out: the load generator sent more than 1 % of the \
                     requests over {:.0} ms late (p99 of the lateness: {:.0} ms). Use another machine for it, or a lower rate",
                    rate.invalid,
                    rate.invalid + rate.runs,
                    1e3 * rate.load.lateness,
                    1e3 * p99
                ));
            }
            notes.extend(rate.uncertainty());
        }
        notes
    }
}

#[cfg(feature = "experiment")]
fn shown(rate: f64) -> String {
    if rate == 1.0 { "1 request/s".into() } else { format!("{} requests/s", rounded(rate)) }
}

/// Returns the number with at most three decimals.
fn rounded(rate: f64) -> String {
    let text = format!("{rate:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Rate {
    /// Returns why the verdict on the rate is not certain. `None`: it is.
    fn uncertainty(&self) -> Option<String> {
        let share = self.share.filter(|_| self.holds.is_some() && !self.certain)?;
        let (name, goal) = (&self.load.condition, self.load.slo.share);
        // A share of all requests cannot be proved, only be disproved.
        let more = more_to_exceed((share.successes, share.trials), goal, share.interval.level)?;
        let decides = match more {
            _ if share.interval.high < goal || more == 0 => {
                "The runs differ too much: more runs would decide it".into()
            }
            1 => "1 more request that meets it would decide that it does".to_owned(),
            _ => format!("{more} more requests that all meet it would decide that it does"),
        };
        let (percent, shown) = (rounded(100.0 * goal), shown_share(self));
        Some(format!(
            "whether {name} holds the SLO is undecided: {shown}, where {percent} % are needed. {decides}"
        ))
    }
}

/// Returns the share of the requests that met the objectives, in few words.
#[cfg(feature = "experiment")]
fn brief_share(rate: &Rate, with_interval: bool) -> String {
    let Some(met) = rate.met else { return String::new() };
    let interval = rate.range().filter(|_| with_interval).map_or(String::new(), |interval| {
        format!(", {:.1} to {:.1} %", 100.0 * interval.low, 100.0 * interval.high)
    });
    format!(" ({:.1} % met it{interval})", 100.0 * met.value)
}

/// Returns the share of the requests that met the objectives, with its interval.
fn shown_share(rate: &Rate) -> String {
    let Some(met) = rate.met else { return String::new() };
    let interval = rate.range().map_or(String::new(), |interval| {
        format!(
            ", {:.0} % interval {:.1} to {:.1} %",
            100.0 * interval.level,
            100.0 * interval.low,
            100.0 * interval.high
        )
    });
    let runs = if rate.runs == 1 { "1 run".to_owned() } else { format!("{} runs", rate.runs) };
    format!("{:.1} % of the {} requests met it in {runs}{interval}", 100.0 * met.value, rate.requests)
}

#[cfg(feature = "experiment")]
impl Slo {
    /// Returns whether it states no objective except that requests succeed.
    pub(crate) fn is_empty(&self) -> bool {
        [self.ttft, self.gap, self.stall, self.total].iter().all(Option::is_none)
    }

    /// Returns it as text.
    pub(crate) fn text(&self) -> String {
        let limits =
            [("TTFT", self.ttft), ("mean gap", self.gap), ("longest gap", self.stall), ("total", self.total)];
        let limits: Vec<String> = limits
            .into_iter()
            .filter_map(|(name, limit)| Some(format!("{name} ≤ {}", seconds(limit?))))
            .collect();
        let limits = if limits.is_empty() { "no failure".to_owned() } else { limits.join(", ") };
        format!("{limits} for {} % of requests", rounded(100.0 * self.share))
    }
}

#[cfg(feature = "experiment")]
fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", rounded(1e3 * seconds)) } else { format!("{} s", rounded(seconds)) }
}
