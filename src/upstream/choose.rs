//! Chooses the upstream of a request.

use std::sync::Arc;

use super::{Policy, Upstream};
use crate::protocol::Route;

/// Whether the route changes the set of models. All such requests go to the primary upstream.
pub(super) const fn manages(route: Route) -> bool {
    matches!(route, Route::Pull | Route::Push | Route::Create | Route::Copy | Route::Delete | Route::Blobs)
}

/// Whether the route concerns one upstream only: its models, or the account that it is signed in to.
pub(super) const fn is_of_primary(route: Route) -> bool {
    manages(route) || route.is_account()
}

/// Chooses among the upstreams. `turn` counts the choices and breaks ties. Models and health narrow the candidates;
/// a filter that would exclude every upstream is ignored. Upstreams at the positions in `tried` are excluded;
/// `None` if that leaves no upstream.
pub(super) fn choose<'a>(
    upstreams: &'a [Arc<Upstream>],
    policy: Policy,
    model: Option<&str>,
    turn: usize,
    tried: &[usize],
) -> Option<&'a Arc<Upstream>> {
    let mut candidates: Vec<_> = upstreams.iter().collect();
    if let Some(model) = model {
        // An upstream that failed and has the model is better than one that is known not to have it.
        narrow(&mut candidates, |upstream| upstream.health().has(model));
    }
    candidates.retain(|upstream| !tried.contains(&upstream.position()));
    if candidates.len() > 1 {
        narrow(&mut candidates, |upstream| upstream.health().alive);
        narrow(&mut candidates, |upstream| !upstream.is_out());
        if let Some(model) = model.filter(|_| policy == Policy::ModelAware) {
            // A full upstream is not preferred, since another one could load the model meanwhile.
            narrow(&mut candidates, |upstream| upstream.health().has_loaded(model) && !upstream.is_full());
        }
    }
    if candidates.is_empty() {
        return None;
    }
    match policy {
        Policy::RoundRobin => {
            // In each round, an upstream has as many turns as its weight.
            let round: usize = candidates.iter().map(|upstream| upstream.weight()).sum();
            let mut left = turn % round;
            candidates.iter().find(|upstream| {
                let is_its_turn = left < upstream.weight();
                left = left.saturating_sub(upstream.weight());
                is_its_turn
            })
        }
        Policy::LeastBusy | Policy::ModelAware => {
            let count = candidates.len();
            candidates.rotate_left(turn % count);
            // Among equals, the first one wins; the rotation makes that a different one each turn. The compared
            // value is (requests + 1) / weight, with both sides multiplied out.
            candidates.iter().min_by(|one, other| {
                let load = |upstream: &Upstream, weight: usize| (upstream.requests() + 1) * weight;
                load(one, other.weight()).cmp(&load(other, one.weight()))
            })
        }
    }
    .copied()
}

fn narrow(candidates: &mut Vec<&Arc<Upstream>>, fits: impl Fn(&Upstream) -> bool) {
    if candidates.iter().any(|upstream| fits(upstream)) {
        candidates.retain(|upstream| fits(upstream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Failed, Health, UpstreamConfig};

    fn upstream(name: &str, health: Health) -> Arc<Upstream> {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let upstream = Upstream::new(0, &UpstreamConfig::new(name, url), true).unwrap();
        upstream.report(health);
        Arc::new(upstream)
    }

    fn with(installed: &[&str], loaded: &[&str]) -> Health {
        Health::for_test(true, installed, loaded)
    }

    fn names(upstreams: &[Arc<Upstream>], policy: Policy, model: Option<&str>) -> Vec<String> {
        (0..4).map(|turn| choose(upstreams, policy, model, turn, &[]).unwrap().name().to_owned()).collect()
    }

    #[test]
    fn round_robin_takes_turns_among_healthy_upstreams() {
        let all =
            [upstream("a", with(&[], &[])), upstream("b", with(&[], &[])), upstream("c", Health::default())];
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn filter_that_excludes_every_upstream_is_ignored() {
        let all = [upstream("a", Health::default()), upstream("b", Health::default())];
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn least_busy_upstream_is_chosen() {
        let all = [upstream("a", with(&[], &[])), upstream("b", with(&[], &[]))];
        let busy = all[0].enter(None);
        assert_eq!(names(&all, Policy::LeastBusy, None), ["b"; 4]);
        drop(busy);
        assert_eq!(names(&all, Policy::LeastBusy, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn upstream_with_model_loaded_is_preferred() {
        let all = [
            upstream("without", with(&["n:latest"], &[])),
            upstream("on disk", with(&["m:latest"], &[])),
            upstream("loaded", with(&["m:latest"], &["m:latest"])),
        ];
        let _busy = all[2].enter(None);
        assert_eq!(names(&all, Policy::ModelAware, Some("m:latest")), ["loaded"; 4]);
        assert_eq!(names(&all, Policy::LeastBusy, Some("m:latest")), ["on disk"; 4]);
        assert_eq!(
            names(&all, Policy::RoundRobin, Some("nobody's:latest")),
            ["without", "on disk", "loaded", "without"]
        );
    }

    #[test]
    fn upstream_with_model_that_is_down_is_chosen_before_one_without_it() {
        let down = Health { alive: false, ..with(&["m:latest"], &[]) };
        let all = [upstream("down", down), upstream("without", with(&["n:latest"], &[]))];
        for policy in [Policy::RoundRobin, Policy::LeastBusy, Policy::ModelAware] {
            assert_eq!(names(&all, policy, Some("m:latest")), ["down"; 4]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failing_upstream_is_excluded_and_retried_by_one_request() {
        let all = [upstream("a", with(&[], &[])), upstream("b", with(&[], &[]))];
        all[0].enter(None).failed(Failed::Unreachable);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["b"; 4]);
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        let mut tries = choose(&all, Policy::LeastBusy, None, 0, &[]).unwrap().enter(None);
        assert_eq!(all[0].requests(), 1);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["b"; 4]);
        tries.answered();
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
        // If the breakers of all are open, all are tried.
        tries.failed(Failed::Request);
        all[1].enter(None).failed(Failed::Unreachable);
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn request_in_flight_is_counted_down_once_at_end_or_drop() {
        let one = upstream("a", with(&[], &[]));
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
    fn pull_takes_no_slot() {
        let url = || "http://127.0.0.1:1".parse().unwrap();
        let config = UpstreamConfig { max_streams: Some(1), ..UpstreamConfig::new("a", url()) };
        let one = Arc::new(Upstream::new(0, &config, true).unwrap());
        let _pull = one.enter(None);
        assert!(!one.is_full());
        let stream = one.enter(Some(super::super::queue::Place::default()));
        assert!(one.is_full());
        drop(stream);
        assert!(!one.is_full());
    }

    #[test]
    fn upstreams_already_tried_are_not_tried_again() {
        let url = || "http://127.0.0.1:1".parse().unwrap();
        let all: Vec<_> = ["a", "b"]
            .into_iter()
            .enumerate()
            .map(|(place, name)| {
                Arc::new(Upstream::new(place, &UpstreamConfig::new(name, url()), true).unwrap())
            })
            .collect();
        let instead = |model, tried: &[usize]| {
            choose(&all, Policy::ModelAware, model, 0, tried).map(|one| one.name().to_owned())
        };
        assert_eq!(instead(None, &[0]).as_deref(), Some("b"));
        assert_eq!(instead(None, &[0, 1]), None);
        all[0].report(with(&["m:latest"], &[]));
        assert_eq!(instead(Some("m:latest"), &[0]), None, "b has it not");
    }

    #[test]
    fn upstream_weights_are_shares() {
        let url = |port| format!("http://127.0.0.1:{port}").parse().unwrap();
        let heavy = UpstreamConfig { weight: 3, ..UpstreamConfig::new("heavy", url(1)) };
        let all = [&heavy, &UpstreamConfig::new("light", url(2))]
            .map(|one| Arc::new(Upstream::new(0, one, true).unwrap()));
        assert_eq!(names(&all, Policy::RoundRobin, None), ["heavy", "heavy", "heavy", "light"]);
        let mut held = Vec::new();
        for turn in 0..8 {
            held.push(choose(&all, Policy::LeastBusy, None, turn, &[]).unwrap().enter(None));
        }
        assert_eq!((all[0].requests(), all[1].requests()), (6, 2));
    }
}
