//! What the scripts do, in exact arithmetic, for the tests.

use std::collections::BTreeMap;

use crate::store::{
    policy::{Rate, Shares},
    script::{Admitted, LIFE, SettleEntry, Settled},
};

/// The state of a rate: the time at which its bucket is empty, in units of 1 / `count` microseconds.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    due: u128,
    rate: Rate,
}

impl Bucket {
    /// A debt ends before the numbers of the script become inexact.
    fn add(self, amount: u128) -> Bucket {
        let (due, count) = (self.due + amount, u128::from(self.rate.count));
        Bucket { due: due.min(NEVER * count + due % count), ..self }
    }
}

/// The end of the longest debt, in microseconds.
const NEVER: u128 = 8_000_000_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Lease {
    held: usize,
    wanted: usize,
    ends: u128,
}

/// The keys of one caller, and the clock.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: u128,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    leases: BTreeMap<usize, Lease>,
    batches: BTreeMap<usize, u64>,
    /// The key of the rates, and that of the leases, hold values of another program.
    is_foreign: [bool; 2],
}

impl Model {
    fn bucket(&self, stored: Option<Bucket>, rate: Rate) -> Bucket {
        let now = self.now * u128::from(rate.count);
        let due = stored.map_or(now, |stored| {
            // The fraction is lost if the rate changes.
            if stored.rate == rate {
                stored.due
            } else {
                stored.due / u128::from(stored.rate.count) * u128::from(rate.count)
            }
        });
        Bucket { due: due.max(now), rate }
    }

    fn fits(&self, bucket: Bucket) -> bool {
        let full = u128::from(bucket.rate.burst) * u128::from(bucket.rate.per);
        bucket.due <= self.now * u128::from(bucket.rate.count) + full
    }

    fn ahead(&self, bucket: Option<Bucket>) -> Option<u64> {
        let bucket = bucket?;
        u64::try_from(bucket.due / u128::from(bucket.rate.count) - self.now).ok()
    }

    /// Another program overwrites the key of the rates (0) or of the leases (1), or removes it.
    pub(super) fn replace(&mut self, key: usize, is_foreign: bool) {
        match key {
            0 => (self.requests, self.tokens) = (None, None),
            _ => self.leases.clear(),
        }
        self.is_foreign[key] = is_foreign;
    }

    /// `None`: a key holds a value of another program, and nothing was taken.
    pub(super) fn admit(
        &mut self,
        sidecar: usize,
        requests: &str,
        shares: Shares,
        held: usize,
        wanted: usize,
    ) -> Option<Admitted> {
        let has_rate = shares.requests.is_some() || shares.tokens.is_some();
        if self.is_foreign[0] && has_rate {
            return None;
        }
        let mut asked = shares.requests.map(|rate| self.bucket(self.requests, rate));
        let mut spent = shares.tokens.map(|rate| self.bucket(self.tokens, rate));
        let differs = |stored: Option<Bucket>, now: Option<Rate>| {
            // An empty bucket has no key any more only some time after it was empty.
            matches!((stored, now), (Some(stored), Some(now)) if stored.rate != now)
        };
        let differs = differs(self.requests, shares.requests) || differs(self.tokens, shares.tokens);
        let one = |bucket: Bucket| bucket.add(u128::from(bucket.rate.per));
        let (mut answers, mut generating) = (String::new(), 0);
        for request in requests.chars() {
            let next_asked = asked.map(one);
            let next_spent = spent.filter(|_| request == 'g').map(one);
            let over = |bucket: Option<Bucket>| bucket.is_some_and(|bucket| !self.fits(bucket));
            let wait = |bucket: Option<Bucket>| {
                bucket
                    .map_or(0, |bucket| bucket.due / u128::from(bucket.rate.count))
                    .saturating_sub(bucket.map_or(0, |bucket| u128::from(bucket.rate.limit().0)))
            };
            let answer = match (over(next_asked), over(next_spent)) {
                (true, true) if wait(next_asked) >= wait(next_spent) => 'r',
                (true, false) => 'r',
                (_, true) => 't',
                (false, false) => {
                    asked = next_asked;
                    spent = next_spent.or(spent);
                    generating += usize::from(request == 'g');
                    'a'
                }
            };
            answers.push(answer);
        }
        if self.is_foreign[1] && shares.max_streams.is_some() && generating + wanted > 0 {
            return None;
        }
        if answers.contains('a') {
            self.requests = asked.or(self.requests);
            self.tokens = spent.or(self.tokens);
        }
        let (taken, goal) = match shares.max_streams {
            Some(most) if generating + wanted > 0 => self.lease(sidecar, most, held, generating + wanted),
            _ => (0, None),
        };
        Some(Admitted { answers, ahead: [self.ahead(asked), self.ahead(spent)], taken, goal, differs })
    }

    pub(super) fn settle(&mut self, sidecar: usize, entry: &SettleEntry, batch: u64) -> Settled {
        let last = self.batches.entry(sidecar).or_default();
        let is_new = batch > *last;
        *last = batch.max(*last);
        let is_uncharged = self.is_foreign[0] && entry.tokens.is_some();
        let tokens = entry.tokens.filter(|_| !is_uncharged);
        let mut spent = tokens.map(|rate| self.bucket(self.tokens, rate));
        if let Some(bucket) = spent.as_mut().filter(|_| is_new && entry.charge != 0) {
            let per = u128::from(bucket.rate.per);
            let amount = per * u128::from(entry.charge.unsigned_abs());
            let now = self.now * u128::from(bucket.rate.count);
            *bucket = if entry.charge > 0 {
                bucket.add(amount)
            } else {
                Bucket { due: bucket.due.saturating_sub(amount).max(now), ..*bucket }
            };
            self.tokens = Some(*bucket);
        }
        let has_no_leases = self.is_foreign[1] && entry.leases.is_some();
        let (taken, goal) = match entry.leases.filter(|_| !has_no_leases) {
            Some((most, held, wanted)) => self.lease(sidecar, most, held, wanted),
            None => (0, None),
        };
        let is_foreign = is_uncharged || has_no_leases;
        Settled { ahead: self.ahead(spent), taken, goal, is_uncharged, is_foreign }
    }

    fn lease(&mut self, sidecar: usize, most: usize, held: usize, wanted: usize) -> (usize, Option<usize>) {
        let now = self.now;
        self.leases.retain(|who, lease| *who == sidecar || lease.ends > now);
        let others: Vec<_> =
            self.leases.iter().filter(|(who, _)| **who != sidecar).map(|(_, one)| *one).collect();
        let theirs: usize = others.iter().map(|one| one.held).sum();
        let sharers = 1 + others.iter().filter(|one| one.held + one.wanted > 0).count();
        let share = most.div_ceil(sharers).max(1);
        let others_wait = others.iter().any(|one| one.wanted > 0);
        let mut taken = wanted.min(most.saturating_sub(theirs + held));
        if others_wait {
            taken = taken.min(share.saturating_sub(held));
        }
        let after = held + taken;
        let is_full = theirs + after >= most;
        let starve = others.iter().any(|one| one.wanted > 0 && one.held == 0);
        let goal = (others_wait && is_full).then_some(if starve && after <= share && taken == 0 {
            after.saturating_sub(1)
        } else {
            share
        });
        if after == 0 && wanted == taken {
            self.leases.remove(&sidecar);
        } else {
            let lease = Lease { held: after, wanted: wanted - taken, ends: now + u128::from(LIFE) };
            self.leases.insert(sidecar, lease);
        }
        (taken, goal)
    }

    /// The leases of a sidecar that have not expired.
    pub(super) fn held(&self, sidecar: usize) -> usize {
        self.leases.get(&sidecar).filter(|lease| lease.ends > self.now).map_or(0, |lease| lease.held)
    }

    /// The leases of all sidecars that have not expired.
    pub(super) fn leased(&self) -> usize {
        self.leases.values().filter(|lease| lease.ends > self.now).map(|lease| lease.held).sum()
    }
}
