//! Chooses the upstream of a request.

use std::{sync::Arc, time::Duration};

use super::{Policy, Upstream};
use crate::{protocol::Route, scheduler::Free};

/// Whether the route changes the set of models. All such requests go to the primary upstream.
pub(super) const fn manages(route: Route) -> bool {
    matches!(route, Route::Pull | Route::Push | Route::Create | Route::Copy | Route::Delete | Route::Blobs)
}

/// Whether the route concerns one upstream only: its models, or the account that it is signed in to.
pub(super) const fn is_of_primary(route: Route) -> bool {
    manages(route) || route.is_account()
}

/// Expected first tokens within the same span of this many milliseconds count as equal. The upstream with fewer
/// requests then gets the request.
const SAME: u128 = 250;

/// The upstreams that a request for this model may be sent to. Models and health narrow the candidates, but a filter
/// that would exclude every upstream is ignored. The upstreams at the positions in `tried` are excluded in any case.
pub(super) fn candidates<'a>(
    all: &'a [Arc<Upstream>],
    model: Option<&str>,
    tried: &[usize],
) -> Vec<&'a Arc<Upstream>> {
    let mut candidates: Vec<_> = all.iter().collect();
    if let Some(model) = model {
        // An upstream that is down but has the model is better than one without the model.
        narrow(&mut candidates, |upstream| upstream.health().has(model));
    }
    candidates.retain(|upstream| !tried.contains(&upstream.position()));
    if candidates.len() > 1 {
        narrow(&mut candidates, |upstream| upstream.health().alive);
        narrow(&mut candidates, |upstream| !upstream.is_out());
    }
    candidates
}

pub(super) fn narrow(candidates: &mut Vec<&Arc<Upstream>>, fits: impl Fn(&Upstream) -> bool) {
    if candidates.iter().any(|upstream| fits(upstream)) {
        candidates.retain(|upstream| fits(upstream));
    }
}

/// Chooses among the upstreams that can take a request now, at least one. `turn` counts the choices and breaks ties. `lag`
/// is the time by which an answer takes longer at an upstream than at the fastest one.
pub(super) fn choose(
    all: &[Arc<Upstream>],
    policy: Policy,
    model: Option<&str>,
    turn: usize,
    free: &[Free],
    lag: impl Fn(usize) -> Duration,
) -> usize {
    let upstream = |at: usize| &all[free[at].upstream];
    let count = free.len();
    if policy == Policy::RoundRobin {
        // Each upstream has as many turns in a round as its weight.
        let round: usize = (0..count).map(|at| upstream(at).weight()).sum();
        let mut left = turn % round;
        for at in 0..count {
            let weight = upstream(at).weight();
            if left < weight {
                return at;
            }
            left -= weight;
        }
    }
    let delay = |at: usize| match (policy, model) {
        (Policy::ModelAware, Some(model)) => {
            upstream(at).expects(model).saturating_add(lag(free[at].upstream)).as_millis() / SAME
        }
        _ => 0,
    };
    // The load of the upstream with one more request. A slot that was granted a moment ago is not among its requests
    // yet.
    let load = |at: usize| upstream(at).requests().max(free[at].taken) + 1;
    // Among equals the first one is chosen. The rotation makes that another one each turn.
    let turns = (0..count).map(|at| (at + turn) % count);
    let least = turns.min_by(|one, other| {
        let soonest = delay(*one).cmp(&delay(*other));
        // Both sides are multiplied out.
        soonest.then_with(|| {
            (load(*one) * upstream(*other).weight()).cmp(&(load(*other) * upstream(*one).weight()))
        })
    });
    least.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scheduler::{Scheduler, Terms, Want},
        upstream::{Config, Failed, Health, StreamLimit, UpstreamConfig, Upstreams, expected::Observed},
    };

    /// Upstreams with these names, states and limits.
    fn upstreams(all: &[(&str, Health, Option<usize>)]) -> Vec<Arc<Upstream>> {
        let each = all.iter().enumerate().map(|(position, (name, health, max_streams))| {
            let config = UpstreamConfig {
                max_streams: max_streams.map(StreamLimit::Fixed),
                ..UpstreamConfig::new(*name, "http://127.0.0.1:1".parse().unwrap())
            };
            let upstream = Upstream::new(position, &config, true).unwrap();
            upstream.report(health.clone());
            Arc::new(upstream)
        });
        each.collect()
    }

    fn two(one: Health, other: Health) -> Vec<Arc<Upstream>> {
        upstreams(&[("a", one, None), ("b", other, None)])
    }

    fn with(installed: &[&str], loaded: &[&str]) -> Health {
        Health::for_test(true, installed, loaded)
    }

    fn up() -> Health {
        with(&[], &[])
    }

    /// The choice among all candidates.
    fn name<'a>(
        all: &'a [Arc<Upstream>],
        policy: Policy,
        model: Option<&str>,
        turn: usize,
        tried: &[usize],
    ) -> Option<&'a str> {
        let candidates = candidates(all, model, tried);
        let free: Vec<_> = candidates.iter().map(|one| Free { upstream: one.position(), taken: 0 }).collect();
        (!free.is_empty()).then(|| {
            let chosen = choose(all, policy, model, turn, &free, |_| Duration::ZERO);
            all[free[chosen].upstream].name()
        })
    }

    fn names<'a>(all: &'a [Arc<Upstream>], policy: Policy, model: Option<&str>) -> Vec<&'a str> {
        (0..4).map(|turn| name(all, policy, model, turn, &[]).unwrap()).collect()
    }

    #[test]
    fn round_robin_takes_turns_among_healthy_upstreams() {
        let all = upstreams(&[("a", up(), None), ("b", up(), None), ("c", Health::default(), None)]);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn upstreams_that_are_all_down_are_all_tried() {
        let all = two(Health::default(), Health::default());
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn least_busy_upstream_is_chosen() {
        let all = two(up(), up());
        let busy = all[0].enter(None);
        assert_eq!(names(&all, Policy::LeastBusy, None), ["b"; 4]);
        drop(busy);
        assert_eq!(names(&all, Policy::LeastBusy, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn model_aware_choice_prefers_upstream_with_the_model_in_memory() {
        let all = upstreams(&[
            ("without", with(&["n:latest"], &[]), None),
            ("on disk", with(&["m:latest"], &[]), None),
            ("loaded", with(&["m:latest"], &["m:latest"]), None),
        ]);
        let _busy = all[2].enter(None);
        assert_eq!(names(&all, Policy::ModelAware, Some("m:latest")), ["loaded"; 4]);
        assert_eq!(names(&all, Policy::LeastBusy, Some("m:latest")), ["on disk"; 4]);
        assert_eq!(
            names(&all, Policy::RoundRobin, Some("nobody's:latest")),
            ["without", "on disk", "loaded", "without"]
        );
    }

    #[test]
    fn upstream_that_is_down_with_the_model_is_preferred_to_one_without_it() {
        let down = Health { alive: false, ..with(&["m:latest"], &[]) };
        let all = upstreams(&[("down", down, None), ("without", with(&["n:latest"], &[]), None)]);
        for policy in [Policy::RoundRobin, Policy::LeastBusy, Policy::ModelAware] {
            assert_eq!(names(&all, policy, Some("m:latest")), ["down"; 4]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failed_upstream_is_excluded_and_tried_again_by_one_request() {
        let all = two(up(), up());
        all[0].enter(None).failed(Failed::Unreachable);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["b"; 4]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(name(&all, Policy::LeastBusy, None, 0, &[]), Some("a"));
        let mut tries = all[0].enter(None);
        assert_eq!(all[0].requests(), 1);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["b"; 4]);
        tries.answered(true);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
        // If the breakers of all are open, all are tried.
        tries.failed(Failed::Request);
        all[1].enter(None).failed(Failed::Unreachable);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn upstream_that_is_wedged_no_longer_gets_one_generation_as_a_trial() {
        let all = two(up(), up());
        assert!(all[0].wedges(true) && !all[0].wedges(true));
        assert_eq!(names(&all, Policy::RoundRobin, None), ["b"; 4]);
        assert!(all[0].wedges(false));
        assert!(all[0].tries_generation(), "the first generation is the trial");
        assert_eq!(names(&all, Policy::RoundRobin, None), ["b"; 4]);
        all[0].abandoned();
        assert!(!all[0].is_out() && all[0].tries_generation(), "then the next one");
    }

    #[tokio::test(start_paused = true)]
    async fn error_does_not_show_that_a_model_runs_again() {
        let all = two(up(), up());
        let fleet = Arc::new(Upstreams::new(&Config::default()).unwrap());
        let scheduler = Scheduler::for_test(&[Some(9)], fleet);
        let slot = async || scheduler.enter("caller", Terms::default(), Want::default()).await.ok();
        all[0].wedges(true);
        all[0].wedges(false);
        assert!(all[0].tries_generation());
        let mut refused = all[0].enter(slot().await);
        refused.answered(false);
        refused.ended();
        assert!(all[0].is_out(), "it may be a 404 for a model that the upstream does not have");
        all[0].enter(slot().await).answered(true);
        assert!(!all[0].is_out());
    }

    #[test]
    fn request_is_counted_until_its_end_or_its_drop() {
        let one = &two(up(), up())[0];
        let mut ended = one.enter(None);
        let dropped = one.enter(None);
        ended.ended();
        assert_eq!(one.requests(), 1);
        drop(ended);
        assert_eq!(one.requests(), 1);
        drop(dropped);
        assert_eq!(one.requests(), 0);
    }

    #[test]
    fn upstreams_that_were_tried_are_not_tried_again() {
        let all = two(Health::default(), Health::default());
        let instead = |model, tried: &[usize]| name(&all, Policy::ModelAware, model, 0, tried);
        assert_eq!(instead(None, &[0]), Some("b"));
        assert_eq!(instead(None, &[0, 1]), None);
        all[0].report(with(&["m:latest"], &[]));
        assert_eq!(instead(Some("m:latest"), &[0]), None, "b lacks the model");
    }

    #[test]
    fn weights_of_upstreams_are_their_shares_of_requests() {
        let url = |port| format!("http://127.0.0.1:{port}").parse().unwrap();
        let heavy = UpstreamConfig { weight: 3, ..UpstreamConfig::new("heavy", url(1)) };
        let each = [heavy, UpstreamConfig::new("light", url(2))].into_iter().enumerate();
        let all: Vec<_> =
            each.map(|(position, one)| Arc::new(Upstream::new(position, &one, true).unwrap())).collect();
        assert_eq!(names(&all, Policy::RoundRobin, None), ["heavy", "heavy", "heavy", "light"]);
        let mut held = Vec::new();
        for turn in 0..8 {
            let chosen = name(&all, Policy::LeastBusy, None, turn, &[]).unwrap();
            held.push(all.iter().find(|one| one.name() == chosen).unwrap().enter(None));
        }
        assert_eq!((all[0].requests(), all[1].requests()), (6, 2));
    }

    #[test]
    fn slots_granted_a_moment_ago_count_as_requests() {
        let all = two(up(), up());
        let free = [Free { upstream: 0, taken: 1 }, Free { upstream: 1, taken: 0 }];
        assert_eq!(choose(&all, Policy::LeastBusy, None, 0, &free, |_| Duration::ZERO), 1);
    }

    /// The seconds that each upstream reported for a load and for the evaluation of the prompt.
    fn told(load: u64, prompt_eval: u64) -> Observed {
        Observed {
            load: Some(Duration::from_secs(load)),
            prompt_eval: Some(Duration::from_secs(prompt_eval)),
            prompt_tokens: Some(1_000),
            ..Observed::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn warm_upstream_is_chosen_exactly_as_long_as_its_first_token_is_sooner() {
        let all = two(with(&["m:latest"], &["m:latest"]), with(&["m:latest"], &[]));
        all[0].expected.observe("m:latest", told(0, 9), false);
        all[1].expected.observe("m:latest", told(10, 1), false);
        assert_eq!(names(&all, Policy::ModelAware, Some("m:latest")), ["a"; 4], "9 s against 11 s");
        all[1].expected.observe("m:latest", told(1, 1), false);
        all[1].expected.observe("m:latest", told(1, 1), false);
        // The load is now expected to take 6.8 s.
        assert_eq!(names(&all, Policy::ModelAware, Some("m:latest")), ["b"; 4]);
    }
}
