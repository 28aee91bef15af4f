//! Limits the attempts to guess the token, per address and in total.
//!
//! The memory is constant: an attacker with many addresses cannot make it grow. An address or a connection that has
//! sent the right token has an allowance of its own, which attempts from elsewhere do not use up. So Prometheus
//! keeps reading while others guess.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Wrong tokens from one address: a burst of 10, then one every 6 s.
const ADDRESS: AttemptAllowance = AttemptAllowance { burst: 10, every: Duration::from_secs(6) };
/// Wrong tokens from all addresses that never sent the right one: a burst of 100, then 10 a second.
const ALL: AttemptAllowance = AttemptAllowance { burst: 100, every: Duration::from_millis(100) };
/// Wrong tokens from an address or a connection that has sent the right one: a burst of 60, then one a second.
const KNOWN: AttemptAllowance = AttemptAllowance { burst: 60, every: Duration::from_secs(1) };

/// Addresses that are counted separately, and the number of them that are remembered for having sent the right
/// token.
const ADDRESSES: usize = 1024;
const KNOWN_ADDRESSES: usize = 64;

/// After this long without a wrong token, the next one starts a new burst and is logged.
const QUIET: Duration = Duration::from_secs(60);

/// A rate limit: `burst` at once, then one in each `every`.
#[derive(Clone, Copy, Debug)]
struct AttemptAllowance {
    burst: u32,
    every: Duration,
}

/// The used part of an allowance: the time at which it is whole again. `None`: nothing is used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used(Option<Instant>);

/// Whether a connection has sent the right token, and the wrong tokens since. The connection's task keeps it.
pub(super) type ConnectionTrust = Option<Used>;

/// The token that a request sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownToken {
    Right,
    Wrong,
    Nothing,
}

/// The verdict on a request that must send the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    /// The request has no token.
    Missing,
    /// `is_first`: the first of a burst, which is logged.
    Wrong {
        is_first: bool,
    },
    /// The token was not checked, since too many were wrong. The next one is checked after `wait`.
    TooMany {
        wait: Duration,
    },
}

/// Counts wrong tokens.
#[derive(Debug)]
pub(super) struct Attempts(Mutex<KeptAttempts>);

#[derive(Debug)]
struct KeptAttempts {
    hasher: RandomState,
    /// Indexed by the hash of the address. When two addresses share an index, the later one replaces the earlier
    /// one.
    addresses: Vec<(IpAddr, Used)>,
    all: Used,
    /// Ordered by the time of the last right token, the newest last.
    known: Vec<(IpAddr, Used)>,
    last: Option<Instant>,
}

impl AttemptAllowance {
    /// The time until one more is allowed.
    fn wait(self, used: Used, now: Instant) -> Option<Duration> {
        let debt = used.0.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        (debt + self.every).checked_sub(self.every * self.burst).filter(|wait| !wait.is_zero())
    }

    fn charge(self, used: &mut Used, now: Instant) {
        used.0 = Some(used.0.map_or(now, |until| until.max(now)) + self.every);
    }
}

impl Default for Attempts {
    fn default() -> Attempts {
        let nobody = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), Used::default());
        Attempts(Mutex::new(KeptAttempts {
            hasher: RandomState::new(),
            addresses: vec![nobody; ADDRESSES],
            all: Used::default(),
            known: Vec::with_capacity(KNOWN_ADDRESSES),
            last: None,
        }))
    }
}

impl Attempts {
    /// Checks the token of a request, if its address or its connection may try one now.
    pub(super) fn judge(
        &self,
        address: IpAddr,
        trust: &mut ConnectionTrust,
        shows: bool,
        judge: impl FnOnce() -> ShownToken,
    ) -> Verdict {
        // A request without a token is not a guess: browsers send such a request first.
        if !shows {
            return Verdict::Missing;
        }
        let (address, now) = (source(address), Instant::now());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = kept.wait(address, *trust, now);
        let verdict = match wait {
            Some(wait) => Verdict::TooMany { wait },
            None if judge() == ShownToken::Right => {
                kept.remember(address);
                trust.get_or_insert_default();
                return Verdict::Right;
            }
            None => {
                kept.charge(address, trust, now);
                let is_first = kept.last.is_none_or(|last| now - last > QUIET);
                Verdict::Wrong { is_first }
            }
        };
        kept.last = Some(now);
        verdict
    }
}

impl KeptAttempts {
    fn place(&self, address: IpAddr) -> usize {
        // The result is less than `ADDRESSES`.
        (self.hasher.hash_one(address) % ADDRESSES as u64) as usize
    }

    fn known(&mut self, address: IpAddr) -> Option<&mut Used> {
        self.known.iter_mut().find(|(known, _)| *known == address).map(|(_, used)| used)
    }

    fn wait(&mut self, address: IpAddr, trust: ConnectionTrust, now: Instant) -> Option<Duration> {
        if let Some(used) = trust.or_else(|| self.known(address).copied()) {
            return KNOWN.wait(used, now);
        }
        let (of, used) = self.addresses[self.place(address)];
        let own = ADDRESS.wait(used, now).filter(|_| of == address);
        // An address that is over its own limit does not use up the shared limit.
        own.or_else(|| ALL.wait(self.all, now))
    }

    fn charge(&mut self, address: IpAddr, trust: &mut ConnectionTrust, now: Instant) {
        if let Some(used) = trust.as_mut().or_else(|| self.known(address)) {
            return KNOWN.charge(used, now);
        }
        let place = self.place(address);
        let (of, used) = &mut self.addresses[place];
        if *of != address {
            (*of, *used) = (address, Used::default());
        }
        ADDRESS.charge(used, now);
        ALL.charge(&mut self.all, now);
    }

    /// Remembers that an address has sent the right token.
    fn remember(&mut self, address: IpAddr) {
        let position = self.known.iter().position(|(known, _)| *known == address);
        let entry = match position {
            Some(position) => self.known.remove(position),
            None => {
                if self.known.len() == KNOWN_ADDRESSES {
                    self.known.remove(0);
                }
                (address, Used::default())
            }
        };
        self.known.push(entry);
    }
}

/// The address under which attempts are counted. For IPv6 that is the network of 64 bits, since one client usually
/// has all of its addresses.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))
    }

    /// The verdict on an attempt from a new connection.
    fn attempt(attempts: &Attempts, address: IpAddr, shown: ShownToken) -> Verdict {
        attempts.judge(address, &mut None, true, || shown)
    }

    /// The number of wrong tokens that are checked, out of `of` attempts.
    fn looked_at(attempts: &Attempts, address: IpAddr, of: usize) -> usize {
        let tried = (0..of).map(|_| attempt(attempts, address, ShownToken::Wrong));
        tried.filter(|verdict| matches!(verdict, Verdict::Wrong { .. })).count()
    }

    #[tokio::test(start_paused = true)]
    async fn token_attempts_of_one_address_have_a_burst_and_then_one_in_six_seconds() {
        let attempts = Attempts::default();
        assert_eq!(looked_at(&attempts, v4(1), 1000), 10);
        assert_eq!(attempt(&attempts, v4(1), ShownToken::Right), Verdict::TooMany { wait: ADDRESS.every });
        for _ in 0..3 {
            tokio::time::advance(ADDRESS.every).await;
            assert_eq!(looked_at(&attempts, v4(1), 1000), 1);
        }
        // Other addresses may still try, and after a minute this one may try ten times again.
        assert_eq!(looked_at(&attempts, v4(2), 1000), 10);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(looked_at(&attempts, v4(1), 1000), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn token_attempts_of_all_addresses_are_limited_to_ten_per_second() {
        let attempts = Attempts::default();
        let all = |attempts: &Attempts| (0..5000).map(|one| looked_at(attempts, v4(one), 1)).sum::<usize>();
        assert_eq!(all(&attempts), 100);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(all(&attempts), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn known_address_is_locked_out_by_no_other_address() {
        let attempts = Attempts::default();
        assert_eq!(attempt(&attempts, v4(1), ShownToken::Right), Verdict::Right);
        for one in 2..5000 {
            looked_at(&attempts, v4(one), 20);
        }
        assert!(matches!(attempt(&attempts, v4(9999), ShownToken::Right), Verdict::TooMany { .. }));
        assert_eq!(attempt(&attempts, v4(1), ShownToken::Right), Verdict::Right);
        // The allowance of a known address is limited too.
        assert_eq!(looked_at(&attempts, v4(1), 1000), 60);
        assert!(matches!(attempt(&attempts, v4(1), ShownToken::Right), Verdict::TooMany { .. }));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(attempt(&attempts, v4(1), ShownToken::Right), Verdict::Right);
    }

    #[tokio::test(start_paused = true)]
    async fn known_connection_is_not_locked_out_by_others_of_its_address() {
        let attempts = Attempts::default();
        let mut trust = None;
        assert_eq!(attempts.judge(v4(1), &mut trust, true, || ShownToken::Right), Verdict::Right);
        assert_eq!(looked_at(&attempts, v4(1), 1000), 60);
        assert!(matches!(attempt(&attempts, v4(1), ShownToken::Right), Verdict::TooMany { .. }));
        assert_eq!(attempts.judge(v4(1), &mut trust, true, || ShownToken::Right), Verdict::Right);
    }

    #[tokio::test(start_paused = true)]
    async fn token_attempts_take_constant_memory_and_group_addresses_by_network() {
        let attempts = Attempts::default();
        let inside = |host: u128| IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) + host));
        assert_eq!((0..1000).map(|host| looked_at(&attempts, inside(host), 1)).sum::<usize>(), 10);
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert_eq!(looked_at(&attempts, mapped, 20), 10);
        assert_eq!(looked_at(&attempts, v4(1), 20), 0);
        for one in 0..10_000 {
            tokio::time::advance(Duration::from_secs(1)).await;
            attempt(&attempts, v4(one), ShownToken::Right);
            attempt(&attempts, v4(one + 20_000), ShownToken::Wrong);
        }
        let kept = attempts.0.lock().unwrap();
        assert_eq!((kept.addresses.len(), kept.known.len()), (ADDRESSES, KNOWN_ADDRESSES));
    }

    #[tokio::test(start_paused = true)]
    async fn token_attempt_burst_is_logged_once_and_missing_token_is_no_attempt() {
        let attempts = Attempts::default();
        for _ in 0..2 {
            let firsts = (0..500).filter(|_| {
                attempt(&attempts, v4(1), ShownToken::Wrong) == Verdict::Wrong { is_first: true }
            });
            assert_eq!(firsts.count(), 1);
            tokio::time::advance(QUIET + Duration::from_millis(1)).await;
        }
        for _ in 0..1000 {
            let missing =
                attempts.judge(v4(2), &mut None, false, || unreachable!("the request has no token"));
            assert_eq!(missing, Verdict::Missing);
        }
        assert_eq!(attempt(&attempts, v4(2), ShownToken::Right), Verdict::Right);
    }
}
