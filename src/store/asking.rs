//! Asks the store about the requests of a caller.

use std::sync::{Arc, PoisonError};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    account::{Account, SharedEntry, SharedVerdict},
    families::DecidedBy,
    line::Undecided,
    policy::OnFailure,
    pool::Asking,
    script::{AdmitCall, Admitted, Script},
    verdict::{Denial, DeniedBy},
};

/// The most requests of one call.
const MOST: usize = 256;

impl Account {
    /// Decides a request: from memory, by the store, or not at all. Waits for the deadline at most.
    pub(crate) async fn take(self: &Arc<Account>, generates: bool) -> SharedVerdict {
        let denial = self.shared.health.is_up().then(|| self.state().denial(generates, Instant::now()));
        match denial {
            Some(Some(denial)) => return self.denied_from_memory(denial),
            Some(None) => {
                if let Some(verdict) = self.ask(generates).await {
                    return verdict;
                }
            }
            None => {}
        }
        self.unanswered(generates)
    }

    fn denied_from_memory(&self, denial: Denial) -> SharedVerdict {
        self.shared.families.decided(DecidedBy::Memory);
        SharedVerdict::Denied(denial)
    }

    fn unanswered(self: &Arc<Account>, generates: bool) -> SharedVerdict {
        let policy = self.state().policy;
        self.shared.families.decided(DecidedBy::Fallback(policy));
        let sidecars = self.shared.health.sidecars();
        if generates && policy != OnFailure::Closed {
            self.state().pool.enter();
        }
        let entry = SharedEntry::new(self.clone(), generates && policy != OnFailure::Closed);
        SharedVerdict::Unanswered { policy, sidecars, entry }
    }

    /// Asks the store. `None`: it did not answer in time.
    async fn ask(self: &Arc<Account>, generates: bool) -> Option<SharedVerdict> {
        let deadline = Instant::now() + self.shared.config.deadline;
        let (answer, answered) = oneshot::channel();
        let leads = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            line.waiting.push(Undecided { generates, answer });
            !std::mem::replace(&mut line.is_led, true)
        };
        if leads {
            // Its own task, since the request may be dropped.
            tokio::spawn(self.clone().lead());
        }
        timeout_at(deadline, answered).await.ok()?.ok()?
    }

    /// Makes calls until nothing waits.
    async fn lead(self: Arc<Account>) {
        while let Some(waiting) = self.next() {
            let requests: String = waiting.iter().map(|one| if one.generates { 'g' } else { 'p' }).collect();
            let coming = waiting.iter().filter(|one| one.generates).count();
            let (shares, (held, wanted)) = {
                let mut state = self.state();
                (state.shares, state.pool.ask(Asking::Admission, coming))
            };
            let call = AdmitCall { caller: &self.name, requests, shares, held, wanted };
            let limit = self.shared.config.deadline;
            let names = &self.shared.names;
            let called = self.shared.call(Script::Admit, limit, |command| call.write(names, command)).await;
            let read = |value| Admitted::read(&value).filter(|read| read.answers.len() == waiting.len());
            match called.map(read) {
                Ok(Some(admitted)) => self.answer(waiting, &admitted),
                Ok(None) => {
                    self.shared.failed(self.shared.garbled());
                    self.drop_all(waiting);
                }
                Err(why) => {
                    if why.is_of_caller() {
                        self.tell_foreign(&mut self.state());
                    }
                    self.shared.failed(why);
                    self.drop_all(waiting);
                }
            }
        }
    }

    /// The requests of the next call. Those that an earlier answer decides are answered at once.
    fn next(&self) -> Option<Vec<Undecided<SharedVerdict>>> {
        loop {
            let waiting: Vec<_> = {
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                let most = line.waiting.len().min(MOST);
                if most == 0 {
                    line.is_led = false;
                    return None;
                }
                line.waiting.drain(..most).collect()
            };
            let now = Instant::now();
            let mut left = Vec::new();
            // A request that has left is not charged.
            for one in waiting.into_iter().filter(|one| !one.answer.is_closed()) {
                let denial = self.state().denial(one.generates, now);
                match denial {
                    Some(denial) => drop(one.answer.send(Some(self.denied_from_memory(denial)))),
                    None => left.push(one),
                }
            }
            if !left.is_empty() {
                return Some(left);
            }
        }
    }

    fn answer(self: &Arc<Account>, waiting: Vec<Undecided<SharedVerdict>>, admitted: &Admitted) {
        let verdicts: Vec<_> = waiting.iter().zip(admitted.answers.chars()).collect();
        let came = verdicts.iter().filter(|(one, answer)| one.generates && *answer == 'a').count();
        let now = Instant::now();
        let (waits, rests) = {
            let mut state = self.state();
            state.know(0, admitted.ahead[0]);
            state.know(1, admitted.ahead[1]);
            state.pool.answered(Asking::Admission, came, admitted.taken, admitted.goal);
            // Only an admitted generation takes leases, whose key may be the foreign one.
            state.is_foreign &= came == 0 && state.shares.max_streams.is_some();
            self.tell_difference(&mut state, admitted.differs);
            let wait = |at: usize| state.rates()[at].map(|rate| rate.wait(state.ahead(at, now)));
            ([wait(0), wait(1)].map(Option::unwrap_or_default), state.rests(now))
        };
        self.balance();
        for (one, answer) in waiting.into_iter().zip(admitted.answers.chars()) {
            self.shared.families.decided(DecidedBy::Store);
            let denied = |kind: DeniedBy| Denial { kind, wait: waits[kind as usize], rests };
            let verdict = match answer {
                'a' => SharedVerdict::Admitted(SharedEntry::new(self.clone(), one.generates)),
                't' => SharedVerdict::Denied(denied(DeniedBy::Tokens)),
                _ => SharedVerdict::Denied(denied(DeniedBy::Requests)),
            };
            // The drop of an entry that nobody takes ends its stream.
            drop(one.answer.send(Some(verdict)));
        }
    }

    fn drop_all(&self, waiting: Vec<Undecided<SharedVerdict>>) {
        self.state().pool.unanswered(Asking::Admission);
        for one in waiting {
            drop(one.answer.send(None));
        }
    }
}
