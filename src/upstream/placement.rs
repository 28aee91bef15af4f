//! The destination of a request, and the scheduler's questions about the upstreams.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    Policy, Upstream, Upstreams,
    choose::{candidates, choose, is_of_primary, narrow},
    expected::Observed,
    worth::{Delay, patience},
};
use crate::{
    protocol::Route,
    scheduler::{Candidate, Fleet, Free, Outlook, Want},
};

/// The destination of a request.
#[derive(Clone, Debug)]
pub(crate) enum Placement {
    /// To this upstream, without a slot.
    At {
        /// The upstream.
        upstream: Arc<Upstream>,
        /// Whether it passes the request on to Ollama's cloud.
        is_cloud: bool,
    },
    /// To any upstream with a free slot.
    Any {
        /// The wish that the scheduler fulfils.
        want: Want,
        /// One of the upstreams that may serve it.
        likely: Arc<Upstream>,
        /// Whether there is no other.
        is_only: bool,
    },
}

impl Upstreams {
    /// Returns the destination of a request that could not be sent to the upstreams at the positions in `tried`.
    /// `None`: no upstream is left for it.
    pub(crate) fn place(&self, route: Route, model: Option<&str>, tried: &[usize]) -> Option<Placement> {
        let is_cloud = |upstream: &Upstream| {
            route.asks_cloud()
                || route.may_ask_cloud() && model.is_some_and(|model| upstream.passes_on(model))
        };
        if is_of_primary(route) {
            let upstream = self.all[self.primary].clone();
            return tried.is_empty().then(|| Placement::At { is_cloud: is_cloud(&upstream), upstream });
        }
        let candidates = candidates(&self.all, model, tried);
        let local = candidates.iter().find(|upstream| !is_cloud(upstream));
        if let Some(likely) = local.filter(|_| route.takes_slot()) {
            // With one upstream there is no choice.
            let positions = candidates.iter().filter(|one| self.all.len() > 1 && !is_cloud(one));
            let want = Want {
                model: model.map(str::to_owned),
                is_cloud: false,
                may_ask_cloud: route.may_ask_cloud(),
                tried: tried.to_vec(),
                candidates: positions.map(|one| one.position()).collect(),
                id: 0,
            };
            return Some(Placement::Any { want, likely: (*likely).clone(), is_only: candidates.len() == 1 });
        }
        let free: Vec<_> = candidates.iter().map(|one| Free { upstream: one.position(), taken: 0 }).collect();
        let chosen = match free.len() {
            0 => return None,
            1 => 0,
            _ => self.decide(model, &free),
        };
        let upstream = candidates[chosen].clone();
        Some(Placement::At { is_cloud: is_cloud(&upstream), upstream })
    }

    /// Whether another upstream than `this` and those in `tried` may have the model.
    pub(crate) fn may_be_elsewhere(&self, model: &str, this: &Upstream, tried: &[usize]) -> bool {
        let is_left = |one: &Upstream| one.position() != this.position() && !tried.contains(&one.position());
        self.all.iter().any(|one| is_left(one) && one.health().listed(model) != Some(None))
    }

    /// Returns the destination of a request whose model the upstreams in `tried` do not have. `None`: none of the
    /// others may have it. It looks again at the lists of models, since that of the last upstream was wrong.
    pub(crate) async fn place_elsewhere(
        &self,
        route: Route,
        model: &str,
        tried: &mut Vec<usize>,
    ) -> Option<Placement> {
        self.look_again().await;
        for upstream in self.all.iter().filter(|one| one.health().listed(model) == Some(None)) {
            if !tried.contains(&upstream.position()) {
                tried.push(upstream.position());
            }
        }
        self.place(route, Some(model), tried)
    }

    /// Takes in the measurements of a request that has ended at the upstream of this name.
    pub(crate) fn observe(&self, upstream: &str, model: &str, observed: Observed) {
        if let Some(upstream) = self.all.iter().find(|one| one.name == upstream) {
            upstream.expected.observe(model, observed, upstream.max_streams.is_none());
            self.paces.observe(upstream.position(), model, observed);
        }
    }

    /// Returns the upstreams that may serve a request.
    fn found(&self, want: &Want) -> Vec<&Arc<Upstream>> {
        if !want.candidates.is_empty() {
            return want.candidates.iter().filter_map(|at| self.all.get(*at)).collect();
        }
        let model = want.model.as_deref();
        let mut candidates = candidates(&self.all, model, &want.tried);
        if let Some(model) = model.filter(|_| want.may_ask_cloud) {
            narrow(&mut candidates, |upstream| !upstream.passes_on(model));
        }
        candidates
    }

    fn decide(&self, model: Option<&str>, free: &[Free]) -> usize {
        let lags = match (self.config.choose, model) {
            (Policy::ModelAware, Some(model)) => self.lags(model, free.iter().map(|one| one.upstream)),
            _ => None,
        };
        let lag = |upstream: usize| lags.as_ref().map_or(Duration::ZERO, |lags| lags[upstream]);
        choose(&self.all, self.config.choose, model, self.turn.fetch_add(1, Relaxed), free, lag)
    }

    /// Returns by how much longer an answer takes at each upstream than at the fastest one. `None`: the streams of one of
    /// these upstreams are not limited. All requests would go to the fastest one, and it would not stay the fastest.
    fn lags(&self, model: &str, mut these: impl Iterator<Item = usize>) -> Option<Vec<Duration>> {
        these.all(|one| self.all[one].max_streams.is_some()).then(|| self.paces.lags(model))
    }
}

impl Fleet<Want> for Upstreams {
    fn candidates(&self, want: &Want, outlook: Outlook<'_>) -> Box<[Candidate]> {
        let at_once = |upstream| Candidate { upstream, patience: Duration::ZERO };
        if want.is_cloud {
            return [at_once(self.all.len())].into();
        }
        let model = want.model.as_deref();
        let candidates = self.found(want);
        let Some(model) = model.filter(|_| self.config.choose == Policy::ModelAware && candidates.len() > 1)
        else {
            return candidates.iter().map(|one| at_once(one.position())).collect();
        };
        let positions: Vec<_> = candidates.iter().map(|one| one.position()).collect();
        let lags = self.lags(model, positions.iter().copied());
        let lag = |upstream: usize| lags.as_ref().map_or(Duration::ZERO, |lags| lags[upstream]);
        let delay = |one: &&Arc<Upstream>| {
            let passes = one.rest(model);
            let expected = passes.or_else(|| one.load(model))?.saturating_add(lag(one.position()));
            Some(Delay { expected, passes: passes.unwrap_or_default() })
        };
        let delays: Vec<_> = candidates.iter().map(delay).collect();
        let wait = |these: &[usize]| outlook.wait(these.iter().map(|at| positions[*at]));
        let patience = patience(&delays, wait);
        // A request would hold a slot and generate nothing until the load that runs has ended.
        let is_held = |one: &Upstream| {
            one.rest(model).is_some_and(|rest| !rest.is_zero()) && outlook.is_limited(one.position())
        };
        let each = candidates.iter().zip(patience).map(|(one, patience)| Candidate {
            upstream: one.position(),
            patience: if is_held(one) { Candidate::HELD } else { patience },
        });
        each.collect()
    }

    fn choose(&self, want: &Want, free: &[Free]) -> usize {
        if free.len() == 1 { 0 } else { self.decide(want.model.as_deref(), free) }
    }

    fn granted(&self, upstream: usize, want: &Want) -> bool {
        let Some(upstream) = self.all.get(upstream) else { return false };
        if let Some(model) = &want.model {
            upstream.goes_to(model);
        }
        upstream.tries_generation()
    }

    fn abandoned(&self, upstream: usize) {
        if let Some(upstream) = self.all.get(upstream) {
            upstream.abandoned();
        }
    }

    fn limited(&self, upstream: usize, limit: usize, reason: &'static str) {
        if let Some(upstream) = self.all.get(upstream) {
            *upstream.found_limit.lock().unwrap_or_else(PoisonError::into_inner) = Some((limit, reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scheduler::{Scheduler, Terms},
        upstream::{Config, Health, StreamLimit, UpstreamConfig},
    };

    /// Two upstreams, `a` and `b`, with so many slots each.
    fn two(slots: Option<usize>) -> Arc<Upstreams> {
        let upstream = |name| UpstreamConfig {
            max_streams: slots.map(StreamLimit::Fixed),
            ..UpstreamConfig::new(name, "http://127.0.0.1:1".parse().unwrap())
        };
        let config = Config { upstreams: ["a", "b"].map(upstream).into(), ..Config::default() };
        Arc::new(Upstreams::new(&config).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn upstream_that_loads_a_model_gets_the_next_requests_for_it_once_the_model_runs() {
        let all = two(None);
        for upstream in &all.all {
            upstream.report(Health::for_test(true, &["m:latest"], &[]));
        }
        let load = Some(Duration::from_secs(10));
        all.observe("a", "m:latest", Observed { load, ..Observed::default() });
        all.observe("b", "m:latest", Observed { load, ..Observed::default() });
        let scheduler = Scheduler::for_test(&[Some(4), Some(4)], all.clone());
        let enter = async |model: &str| {
            let want = Want { model: Some(model.to_owned()), ..Want::default() };
            scheduler.enter("caller", Terms::default(), want).await.unwrap()
        };
        let first = enter("m:latest").await;
        let loads = first.upstream();
        let mut first = all.all[loads].enter(Some(first)).with_model(Some("m:latest"));
        let next = async { [enter("m:latest").await, enter("m:latest").await, enter("m:latest").await] };
        let ended = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            assert_eq!(scheduler.line().len(), 1, "a slot would be held and generate nothing");
            first.answered(true);
        };
        let began = tokio::time::Instant::now();
        let (next, ()) = tokio::join!(next, ended);
        assert!(next.iter().all(|slot| slot.upstream() == loads), "a second load takes longer");
        assert_eq!(began.elapsed().as_secs(), 4, "the load was shorter than the one before");
    }

    #[tokio::test(start_paused = true)]
    async fn candidates_are_looked_up_once_until_the_request_waits() {
        let all = two(Some(1));
        let here = |one: &str| Health::for_test(true, &[one], &[]);
        let place = || match all.place(Route::Chat, Some("m:latest"), &[]) {
            Some(Placement::Any { want, .. }) => want,
            _ => panic!("a chat takes a slot"),
        };
        let report = |a: &str, b: &str| {
            all.all[0].report(here(a));
            all.all[1].report(here(b));
        };
        report("m:latest", "m:latest");
        let want = place();
        assert_eq!(*want.candidates, [0, 1]);
        report("n:latest", "m:latest");
        let unlimited = Scheduler::for_test(&[None, None], all.clone());
        let enter = async |want: &Want| unlimited.enter("a", Terms::default(), want.clone()).await.unwrap();
        let slots = [enter(&want).await.upstream(), enter(&want).await.upstream()];
        assert!(slots.contains(&0), "the list of models is not read again: {slots:?}");
        assert_eq!(*place().candidates, [1]);
        // A request that waits gets other candidates.
        let limited = Scheduler::for_test(&[Some(1), Some(1)], all.clone());
        let held = [0, 1].map(|at| Want { candidates: [at].into(), ..want.clone() });
        let running = [
            limited.enter("a", Terms::default(), held[0].clone()).await.unwrap(),
            limited.enter("a", Terms::default(), held[1].clone()).await.unwrap(),
        ];
        let waits = limited.enter("a", Terms::default(), held[0].clone());
        let refreshed = async {
            tokio::task::yield_now().await;
            limited.refresher().refresh();
            drop(running);
        };
        let (slot, ()) = tokio::join!(waits, refreshed);
        assert_eq!(slot.unwrap().upstream(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn request_waits_for_a_warm_slot_no_longer_than_a_load_takes() {
        let all = two(Some(1));
        all.all[0].report(Health::for_test(true, &["m:latest"], &["m:latest"]));
        all.all[1].report(Health::for_test(true, &["m:latest"], &[]));
        let load = Some(Duration::from_secs(10));
        all.observe("b", "m:latest", Observed { load, ..Observed::default() });
        let scheduler = Scheduler::for_test(&[Some(1), Some(1)], all);
        let want = || Want { model: Some("m:latest".to_owned()), ..Want::default() };
        let enter = || scheduler.enter("caller", Terms::default(), want());
        // A slot is held for two seconds here, so a warm slot is expected soon.
        let warm = enter().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(warm);
        let warm = enter().await.unwrap();
        assert_eq!(warm.upstream(), 0);
        let began = tokio::time::Instant::now();
        let loads = enter().await.unwrap();
        assert_eq!(
            (loads.upstream(), began.elapsed().as_secs()),
            (1, 10),
            "it waited as long as the load takes"
        );
        drop(warm);
    }

    #[tokio::test(start_paused = true)]
    async fn request_waits_longer_for_a_warm_slot_if_the_load_evicts_a_model() {
        let models = ["m:latest", "n:latest"];
        for (first, waits) in [("m:latest", 25), ("n:latest", 10)] {
            let all = two(Some(1));
            all.all[0].report(Health::for_test(true, &models, &["m:latest"]));
            // One model replaces the other in the memory of the second upstream, or the same one stays.
            all.all[1].report(Health::for_test(true, &models, &[first]));
            all.all[1].report(Health::for_test(true, &models, &["n:latest"]));
            let load = |secs| Observed { load: Some(Duration::from_secs(secs)), ..Observed::default() };
            all.observe("b", "m:latest", load(10));
            all.observe("b", "n:latest", load(15));
            let scheduler = Scheduler::for_test(&[Some(1), Some(1)], all);
            let want = || Want { model: Some("m:latest".to_owned()), ..Want::default() };
            let enter = || scheduler.enter("caller", Terms::default(), want());
            // A slot is held for two seconds here, so a warm slot is expected soon. A load takes 10 s, and the reload of
            // the evicted model 15 s more.
            let warm = enter().await.unwrap();
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(warm);
            let warm = enter().await.unwrap();
            let began = tokio::time::Instant::now();
            let loads = enter().await.unwrap();
            assert_eq!((loads.upstream(), began.elapsed().as_secs()), (1, waits), "{first}");
            drop(warm);
        }
    }
}
