//! The shared limits of one caller, as this sidecar sees them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    core::StoreCore,
    line::CallLine,
    policy::{OnFailure, Rate, Shares},
    pool::{Asking, LeasePool},
    script,
    verdict::{Denial, DeniedBy, Rest, StoreVerdict},
};

/// The time between two questions for a lease while requests wait for one. The announcements of other sidecars come
/// sooner, and may be lost.
const POLL: Duration = Duration::from_millis(250);

/// The shared limits of one caller.
#[derive(Debug)]
pub(crate) struct Account {
    pub(super) name: String,
    pub(super) shared: Arc<StoreCore>,
    state: Mutex<AccountState>,
    pub(super) line: Mutex<CallLine<SharedVerdict>>,
}

/// The part that changes.
#[derive(Debug)]
pub(super) struct AccountState {
    pub(super) shares: Shares,
    pub(super) policy: OnFailure,
    /// The times at which the states of requests and of tokens are empty, as far as this sidecar knows. Other sidecars
    /// can only make them later, so that a denial that follows from them needs no call.
    empty_at: [Option<Instant>; 2],
    pub(super) pool: LeasePool,
    /// Tokens to charge with the next batch.
    charges: i64,
    /// When to ask for leases again.
    poll_at: Instant,
    /// The log has told that another sidecar has another rate.
    is_difference_told: bool,
    /// The log has told that the keys hold values of another program.
    pub(super) is_foreign: bool,
}

/// The decision about a request.
pub(crate) type SharedVerdict = StoreVerdict<SharedEntry>;

/// One admitted request. The drop ends its stream.
#[derive(Debug)]
pub(crate) struct SharedEntry {
    account: Arc<Account>,
    /// It counts as a stream of the caller.
    streams: bool,
}

impl SharedEntry {
    pub(super) fn new(account: Arc<Account>, streams: bool) -> SharedEntry {
        SharedEntry { account, streams }
    }

    /// Charges the tokens of the request, of which the admission took one.
    pub(crate) fn charge(&self, tokens: u64) {
        self.account.charge(i64::try_from(tokens).unwrap_or(i64::MAX).saturating_sub(1));
    }
}

impl Drop for SharedEntry {
    fn drop(&mut self) {
        if self.streams {
            self.account.leave();
        }
    }
}

impl Account {
    pub(super) fn new(name: &str, shared: Arc<StoreCore>, shares: Shares, policy: OnFailure) -> Arc<Account> {
        let state = AccountState {
            shares,
            policy,
            empty_at: [None; 2],
            pool: LeasePool::default(),
            charges: 0,
            poll_at: Instant::now(),
            is_difference_told: false,
            is_foreign: false,
        };
        let account =
            Account { name: name.to_owned(), shared, state: Mutex::new(state), line: Mutex::default() };
        if !account.shared.health.is_up() {
            account.fall_back();
        }
        Arc::new(account)
    }

    /// Takes other limits. A rate that changes keeps its state in the store.
    pub(super) fn set(&self, shares: Shares, policy: OnFailure) {
        let mut state = self.state();
        if (state.shares, state.policy) != (shares, policy) {
            (state.shares, state.policy, state.empty_at) = (shares, policy, [None; 2]);
            if shares.tokens.is_none() {
                state.charges = 0;
            }
            drop(state);
            if self.shared.health.is_up() { self.balance() } else { self.fall_back() }
        }
    }

    /// The rest of the rates of requests and tokens, as far as this sidecar knows.
    pub(crate) fn rests(&self) -> [Option<Rest>; 2] {
        self.state().rests(Instant::now())
    }

    /// Adds tokens to the next batch. Without a shared rate of tokens, no batch takes them.
    pub(super) fn charge(&self, tokens: i64) {
        let mut state = self.state();
        if state.shares.tokens.is_some() {
            state.charges = state.charges.saturating_add(tokens);
        }
    }

    /// A stream has ended.
    fn leave(&self) {
        self.state().pool.leave();
        if self.shared.health.is_up() {
            self.balance();
            // The scheduler counts the stream a moment longer than its permit.
            if self.state().pool.others_wait() {
                self.shared.hurry.notify_one();
            }
        }
    }

    /// Gives back the leases that are not needed, and tells the scheduler how many streams may run.
    pub(super) fn balance(&self) {
        let mut state = self.state();
        let most = state.shares.max_streams;
        if most.is_none() {
            self.shared.cap(&self.name, None);
            return;
        }
        if state.is_foreign {
            // No leases are to be had for this caller.
            drop(state);
            return self.fall_back();
        }
        state.pool.balance(|most| self.shared.cap(&self.name, Some(most)));
    }

    /// Gives back the leases whose streams have left the scheduler by now.
    pub(super) fn give_back(&self) {
        let is_over = self.state().pool.is_over();
        if is_over {
            self.balance();
        }
    }

    /// Limits the streams without the store.
    pub(super) fn fall_back(&self) {
        let state = self.state();
        let Some(most) = state.shares.max_streams else { return };
        let sidecars = usize::try_from(self.shared.health.sidecars()).unwrap_or(usize::MAX);
        match state.policy {
            OnFailure::Local => {
                self.shared.cap(&self.name, Some((most / sidecars).max(1)));
            }
            OnFailure::Open => {
                self.shared.cap(&self.name, None);
            }
            // Running streams keep their leases, and waiting requests wait.
            OnFailure::Closed => {}
        }
    }

    /// Takes over the running streams, before the store decides again.
    pub(super) fn restore(&self) {
        let mut state = self.state();
        state.empty_at = [None; 2];
        if state.shares.max_streams.is_some() {
            state.pool.restore(|most| self.shared.cap(&self.name, Some(most)));
        }
        drop(state);
        self.balance();
    }

    /// Takes the tokens to charge.
    pub(super) fn take_charges(&self) -> i64 {
        let mut state = self.state();
        let most = i64::try_from(script::MOST_TOKENS).expect("it is small");
        let taken = state.charges.clamp(-most, most);
        state.charges -= taken;
        taken
    }

    /// Whether the leases have to be settled: because they changed, because requests wait, or to renew them.
    pub(super) fn is_due(&self, renews: bool, now: Instant) -> bool {
        let state = self.state();
        let pool = &state.pool;
        state.shares.max_streams.is_some()
            && (pool.is_dirty() || (renews && pool.holds()) || (pool.is_short() && state.poll_at <= now))
    }

    /// Asks for leases soon, because another sidecar has announced free ones.
    pub(super) fn hint(&self) {
        let mut state = self.state();
        if state.pool.is_short() {
            state.poll_at = Instant::now();
            self.shared.hurry.notify_one();
        }
    }

    /// Whether nothing is left to settle.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.state();
        state.charges == 0 && state.pool.is_empty()
    }

    /// Begins a call that settles.
    pub(super) fn settle(&self, charge: i64) -> script::SettleEntry {
        let mut state = self.state();
        let leases = state.shares.max_streams.map(|most| {
            let (held, wanted) = state.pool.ask(Asking::Settling, 0);
            (most, held, wanted)
        });
        state.poll_at = Instant::now() + POLL.mul_f64(super::chance::between(0.5, 1.5));
        script::SettleEntry { caller: self.name.clone(), charge, tokens: state.shares.tokens, leases }
    }

    /// Ends a call that settles, which was to charge so many tokens.
    pub(super) fn settled(&self, charge: i64, answer: Option<script::Settled>) {
        let mut state = self.state();
        match answer {
            Some(settled) => {
                if settled.is_foreign {
                    self.tell_foreign(&mut state);
                }
                if settled.is_uncharged {
                    self.shared.families.lost(u64::try_from(charge).unwrap_or(0));
                } else {
                    state.know(1, settled.ahead);
                }
                state.pool.answered(Asking::Settling, 0, settled.taken, settled.goal);
            }
            None => state.pool.unanswered(Asking::Settling),
        }
        drop(state);
        if self.shared.health.is_up() {
            self.balance();
        }
    }

    pub(super) fn tell_foreign(&self, state: &mut AccountState) {
        if !std::mem::replace(&mut state.is_foreign, true) {
            tracing::warn!(
                caller = self.name,
                "shared limits of a caller are not in force: a key of the store holds a value of another program; choose another shared.prefix"
            );
        }
    }

    pub(super) fn tell_difference(&self, state: &mut AccountState, differs: bool) {
        if differs && !state.is_difference_told {
            tracing::warn!(
                caller = self.name,
                "shared limits differ: another sidecar has another rate for this caller, and each sidecar applies its own; give all sidecars the same limits"
            );
        }
        state.is_difference_told |= differs;
    }

    pub(super) fn state(&self) -> MutexGuard<'_, AccountState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccountState {
    pub(super) fn rates(&self) -> [Option<Rate>; 2] {
        [self.shares.requests, self.shares.tokens]
    }

    /// Keeps how far the state of requests (0) or tokens (1) lies ahead of now.
    pub(super) fn know(&mut self, at: usize, ahead: Option<u64>) {
        self.empty_at[at] = ahead.map(|ahead| Instant::now() + Duration::from_micros(ahead));
    }

    pub(super) fn ahead(&self, at: usize, now: Instant) -> Duration {
        self.empty_at[at].map_or(Duration::ZERO, |empty| empty.saturating_duration_since(now))
    }

    /// The denial that follows from what the store said before.
    pub(super) fn denial(&self, generates: bool, now: Instant) -> Option<Denial> {
        let wait = |at: usize| self.rates()[at].map_or(Duration::ZERO, |rate| rate.wait(self.ahead(at, now)));
        let (requests, tokens) = (wait(0), if generates { wait(1) } else { Duration::ZERO });
        let kind = if tokens > requests { DeniedBy::Tokens } else { DeniedBy::Requests };
        let wait = requests.max(tokens);
        (!wait.is_zero()).then(|| Denial { kind, wait, rests: self.rests(now) })
    }

    pub(super) fn rests(&self, now: Instant) -> [Option<Rest>; 2] {
        let rest = |at: usize| {
            let (rate, ahead) = (self.rates()[at]?, self.ahead(at, now));
            Some(Rest { limit: rate.burst, remaining: rate.remaining(ahead), reset: ahead })
        };
        [rest(0), rest(1)]
    }
}
