//! Which upstream takes a request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::{Policy, Upstream, queue::Place};
use crate::protocol::Route;

/// One more request at an upstream, until it is dropped.
#[derive(Debug)]
pub struct Busy {
    requests: Arc<AtomicUsize>,
    _place: Option<Place>,
}

impl Busy {
    pub(super) fn enter(requests: &Arc<AtomicUsize>, place: Option<Place>) -> Busy {
        requests.fetch_add(1, Relaxed);
        Busy { requests: requests.clone(), _place: place }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.requests.fetch_sub(1, Relaxed);
    }
}

/// Where the route's requests change which models there are: all such go to one place.
pub(super) const fn manages(route: Route) -> bool {
    matches!(route, Route::Pull | Route::Push | Route::Create | Route::Copy | Route::Delete | Route::Blobs)
}

/// Chooses among upstreams, at least one. `turn` counts the choices and breaks ties. Health and models narrow
/// the candidates, but never to none: then they say nothing.
pub(super) fn choose<'a>(
    upstreams: &'a [Arc<Upstream>],
    policy: Policy,
    model: Option<&str>,
    turn: usize,
) -> &'a Arc<Upstream> {
    let mut candidates: Vec<_> = upstreams.iter().collect();
    if candidates.len() > 1 {
        narrow(&mut candidates, |upstream| upstream.health().alive);
        if let Some(model) = model {
            narrow(&mut candidates, |upstream| upstream.health().has(model));
            if policy == Policy::ModelAware {
                // Not where it would wait for a place while another could load it.
                narrow(&mut candidates, |upstream| {
                    upstream.health().has_loaded(model) && !upstream.is_full()
                });
            }
        }
    }
    match policy {
        Policy::RoundRobin => {
            // Each has as many turns of a round as it has weight.
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
            // Of equals the first one: after the rotation that is another one each turn. With one more request an
            // upstream would have so much for its weight; both sides are multiplied out.
            candidates.iter().min_by(|one, other| {
                let load = |upstream: &Upstream, weight: usize| (upstream.requests() + 1) * weight;
                load(one, other.weight()).cmp(&load(other, one.weight()))
            })
        }
    }
    .expect("there is at least one upstream")
}

fn narrow(candidates: &mut Vec<&Arc<Upstream>>, fits: impl Fn(&Upstream) -> bool) {
    if candidates.iter().any(|upstream| fits(upstream)) {
        candidates.retain(|upstream| fits(upstream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Health, UpstreamConfig};

    fn upstream(name: &str, health: Health) -> Arc<Upstream> {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let upstream = Upstream::new(0, &UpstreamConfig::new(name, url));
        upstream.report(health);
        Arc::new(upstream)
    }

    fn with(installed: &[&str], loaded: &[&str]) -> Health {
        Health::for_test(true, installed, loaded)
    }

    fn names(upstreams: &[Arc<Upstream>], policy: Policy, model: Option<&str>) -> Vec<String> {
        (0..4).map(|turn| choose(upstreams, policy, model, turn).name().to_owned()).collect()
    }

    #[test]
    fn round_robin_takes_turns_among_the_healthy() {
        let all =
            [upstream("a", with(&[], &[])), upstream("b", with(&[], &[])), upstream("c", Health::default())];
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn when_all_are_out_all_are_tried() {
        let all = [upstream("a", Health::default()), upstream("b", Health::default())];
        assert_eq!(names(&all, Policy::RoundRobin, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn the_least_busy_is_asked() {
        let all = [upstream("a", with(&[], &[])), upstream("b", with(&[], &[]))];
        let busy = all[0].enter(None);
        assert_eq!(names(&all, Policy::LeastBusy, None), ["b"; 4]);
        drop(busy);
        assert_eq!(names(&all, Policy::LeastBusy, None), ["a", "b", "a", "b"]);
    }

    #[test]
    fn a_model_is_asked_for_where_it_is_and_best_where_it_is_loaded() {
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
    fn weights_are_shares() {
        let url = |port| format!("http://127.0.0.1:{port}").parse().unwrap();
        let heavy = UpstreamConfig { weight: 3, ..UpstreamConfig::new("heavy", url(1)) };
        let all = [&heavy, &UpstreamConfig::new("light", url(2))].map(|one| Arc::new(Upstream::new(0, one)));
        assert_eq!(names(&all, Policy::RoundRobin, None), ["heavy", "heavy", "heavy", "light"]);
        let mut held = Vec::new();
        for turn in 0..8 {
            held.push(choose(&all, Policy::LeastBusy, None, turn).enter(None));
        }
        assert_eq!((all[0].requests(), all[1].requests()), (6, 2));
    }
}
