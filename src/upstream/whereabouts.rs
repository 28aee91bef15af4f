//! Where the name of an upstream leads: connections to where it no longer does are given up.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    net::lookup_host,
    time::{MissedTickBehavior, interval},
};
use url::{Host, Url};

/// How often a name was found to lead elsewhere.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(AtomicU64);

impl Whereabouts {
    /// What was connected at another count may be connected to an address that the name has no more.
    pub(super) fn moves(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn moved(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Looks the name up, for ever; an address needs no looking up. A name that cannot be looked up leads where it led.
    pub(super) async fn follow(&self, upstream: &str, url: &Url, every: Duration) {
        let (Some(Host::Domain(name)), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return;
        };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = Known::default();
        loop {
            ticks.tick().await;
            let Ok(found) = lookup_host((name, port)).await else { continue };
            if known.loses_some(found.map(|addr| addr.ip()).collect()) {
                self.moved();
                let to = &known.0;
                tracing::info!(
                    upstream,
                    ?to,
                    "the upstream's name leads elsewhere: new connections go there"
                );
            }
        }
    }
}

/// The addresses that a name has.
#[derive(Debug, Default)]
struct Known(BTreeSet<IpAddr>);

impl Known {
    /// Whether one that was known is not among those that were found. More of them, or another order, is no move.
    fn loses_some(&mut self, found: BTreeSet<IpAddr>) -> bool {
        // It has none when its server does not know it for a moment.
        if found.is_empty() {
            return false;
        }
        let was = std::mem::replace(&mut self.0, found);
        !was.is_subset(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_name_has_moved_when_an_address_is_gone() {
        let addresses = |last: &[u8]| last.iter().map(|last| IpAddr::from([10, 0, 0, *last])).collect();
        let mut known = Known::default();
        for (found, moved) in [
            (&[1, 2][..], false),
            (&[2, 1], false),
            (&[1, 2, 3], false),
            (&[], false),
            (&[1, 3], true),
            (&[1, 3], false),
            (&[4], true),
        ] {
            assert_eq!(known.loses_some(addresses(found)), moved, "{found:?}");
        }
    }

    #[tokio::test]
    async fn ip_address_is_not_looked_up() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let nowhere = Whereabouts::default();
        // They end: there is nothing to follow.
        nowhere.follow("a", &url("http://127.0.0.1:1"), Duration::from_secs(1)).await;
        nowhere.follow("a", &url("http://[::1]:1"), Duration::from_secs(1)).await;
        assert_eq!(nowhere.moves(), 0);
    }
}
