//! Notices upstreams that are wedged, and takes them out of the choice.
//!
//! The meter compares the silence of an upstream with the silences that were usual there, so that no time limit has to
//! be set. A probe cannot tell: an Ollama whose model hangs still answers it.

use std::{fmt, sync::Arc, time::Duration};

use prometheus::{IntCounter, Registry};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    metric::{Family, int_counter},
    upstream::{Upstream, Upstreams},
};

/// The time between two looks at the silences.
const EVERY: Duration = Duration::from_secs(1);

/// Watches the silences of all upstreams.
pub(super) struct Wedges {
    upstreams: Arc<Upstreams>,
    counts: Family<IntCounter, 1>,
    /// The silence of an upstream, divided by the longest one that is usual.
    ratio: Box<dyn Fn(&Upstream) -> f64 + Send + Sync>,
    changed: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Wedges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wedges").finish_non_exhaustive()
    }
}

impl Wedges {
    /// `changed` is called after an upstream became wedged or works again.
    pub(super) fn register(
        registry: &Registry,
        upstreams: Arc<Upstreams>,
        ratio: impl Fn(&Upstream) -> f64 + Send + Sync + 'static,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> prometheus::Result<Wedges> {
        let help = "Times that an upstream was found to be wedged: it sent nothing for longer than is usual.";
        let counts = Family::register(registry, "upstream_wedged_total", help, ["upstream"], int_counter)?;
        for upstream in upstreams.all() {
            let _ = counts.child([upstream.name()]);
        }
        Ok(Wedges { upstreams, counts, ratio: Box::new(ratio), changed: Box::new(changed) })
    }

    /// Looks at the silences, for ever.
    pub(super) async fn watch(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        for upstream in self.upstreams.all() {
            let ratio = (self.ratio)(upstream);
            if !upstream.wedges(ratio > 1.0) {
                continue;
            }
            let name = upstream.name();
            if upstream.is_wedged() {
                self.counts.child([name]).inc();
                let requests = upstream.requests();
                tracing::warn!(
                    upstream = name,
                    requests,
                    ratio,
                    "the upstream is wedged: it sends nothing for longer than usual, and other upstreams get its requests"
                );
            } else {
                tracing::info!(upstream = name, "the upstream is no longer wedged: one generation tries it");
            }
            (self.changed)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use prometheus::TextEncoder;

    use super::*;
    use crate::{
        protocol::Route,
        upstream::{Config, Placement, UpstreamConfig},
    };

    fn likely(upstreams: &Upstreams) -> Vec<String> {
        let place = |_| match upstreams.place(Route::Chat, Some("m:latest"), &[]) {
            Some(Placement::Any { likely, is_only, .. }) => format!("{} {is_only}", likely.name()),
            other => panic!("{other:?}"),
        };
        (0..2).map(place).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn wedged_upstream_is_counted_once_and_gets_no_requests_until_a_trial() {
        let config = Config {
            upstreams: ["a", "b"]
                .map(|name| UpstreamConfig::new(name, "http://127.0.0.1:1".parse().unwrap()))
                .into(),
            ..Config::default()
        };
        let upstreams = Arc::new(Upstreams::new(&config).unwrap());
        let (ratio, changes) = (Arc::new(Mutex::new(0.9)), Arc::new(AtomicUsize::new(0)));
        let (told, counted) = (ratio.clone(), changes.clone());
        let registry = Registry::new();
        let wedges = Wedges::register(
            &registry,
            upstreams.clone(),
            move |upstream| if upstream.name() == "a" { *told.lock().unwrap() } else { 0.0 },
            move || {
                counted.fetch_add(1, Relaxed);
            },
        );
        tokio::spawn(wedges.unwrap().watch());
        let total = || {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            let line = text.lines().find(|line| line.contains("wedged_total{upstream=\"a\"}")).unwrap();
            line.rsplit_once(' ').unwrap().1.to_owned()
        };
        let pass = async |now: f64| {
            *ratio.lock().unwrap() = now;
            tokio::time::sleep(3 * EVERY).await;
        };

        pass(0.99).await;
        assert_eq!((total(), likely(&upstreams)), ("0".to_owned(), vec!["a false".to_owned(); 2]));
        pass(1.01).await;
        assert!(upstreams.all()[0].is_wedged());
        assert_eq!((total(), likely(&upstreams)), ("1".to_owned(), vec!["b true".to_owned(); 2]));
        // Its clients have left, so that nothing is silent there.
        pass(0.0).await;
        assert!(!upstreams.all()[0].is_wedged() && !upstreams.all()[0].is_out());
        assert_eq!((total(), changes.load(Relaxed)), ("1".to_owned(), 2));
        assert_eq!(likely(&upstreams)[0], "a false");
    }
}
