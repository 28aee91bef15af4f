//! Follows the addresses of an upstream's name. When they change, connections to old addresses get no new requests.

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

/// Counts how often an address of the name was gone.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(AtomicU64);

impl Whereabouts {
    /// The count of changes. A connection made at an earlier count may lead to an address that the name no longer
    /// has.
    pub(super) fn moves(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn moved(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Looks the name up and never ends, except for an IP address. If a lookup fails, the known addresses stay.
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
                    "the addresses of the upstream's name changed; new connections use the new ones"
                );
            }
        }
    }
}

/// The known addresses of a name.
#[derive(Debug, Default)]
struct Known(BTreeSet<IpAddr>);

impl Known {
    /// Whether a known address is missing in `found`. A new address or another order is not a change.
    fn loses_some(&mut self, found: BTreeSet<IpAddr>) -> bool {
        // An empty answer means that the DNS server does not know the name for a moment.
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
        // Both calls end, since there is no name to follow.
        nowhere.follow("a", &url("http://127.0.0.1:1"), Duration::from_secs(1)).await;
        nowhere.follow("a", &url("http://[::1]:1"), Duration::from_secs(1)).await;
        assert_eq!(nowhere.moves(), 0);
    }
}
