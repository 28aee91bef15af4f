//! The store: its accounts, and its worker.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus::Registry;

use super::{
    account::Account,
    chance,
    config::Config,
    core::StoreCore,
    families::Families,
    policy::{OnFailure, Shares},
    script::Names,
    verdict::SharedStatus,
};

/// The most callers that have gone and have something to settle. At some 400 bytes each, 1.6 MiB.
const MOST_UNSETTLED: usize = 4096;

/// The store of shared limits.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) shared: Arc<StoreCore>,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
}

impl Store {
    /// Registers its metrics. `cap` limits the streams of a caller that run in this sidecar, and returns how many run.
    ///
    /// # Errors
    /// `registry` already has the name of a metric.
    pub(crate) fn register(
        registry: &Registry,
        config: &Config,
        cap: impl Fn(&str, Option<usize>) -> usize + Send + Sync + 'static,
    ) -> prometheus::Result<Arc<Store>> {
        let families = Families::register(registry)?;
        let sidecar = format!("{:016x}{:016x}", chance::number(), chance::number());
        let names = Names::new(&config.prefix, sidecar);
        let shared = StoreCore::new(config.clone(), names, families, Box::new(cap));
        shared.show();
        Ok(Arc::new(Store { shared: Arc::new(shared), accounts: Mutex::default() }))
    }

    /// The account of a caller, with these limits from now on.
    pub(crate) fn account(&self, name: &str, shares: Shares, policy: Option<OnFailure>) -> Arc<Account> {
        let policy = policy.unwrap_or(self.shared.config.on_failure);
        let mut accounts = self.locked();
        if let Some(account) = accounts.get(name) {
            account.set(shares, policy);
            return account.clone();
        }
        let account = Account::new(name, self.shared.clone(), shares, policy);
        accounts.insert(name.to_owned(), account.clone());
        account
    }

    /// The mode that is in force now.
    pub(crate) fn status(&self) -> SharedStatus {
        self.shared.health.status()
    }

    /// Why callers with keys of the store are refused: none of its keys were ever in force. `None` if that is not so.
    pub(crate) fn missing_keys(&self) -> Option<String> {
        let keys = &self.shared.keys;
        keys.is_missing().then(|| self.status().why.unwrap_or_else(|| keys.told()))
    }

    /// Follows the text with keys of callers.
    #[cfg(feature = "cli")]
    pub(crate) fn stored_keys(&self) -> super::StoredKeys {
        super::StoredKeys::new(self.shared.clone())
    }

    pub(super) fn known(&self, name: &str) -> Option<Arc<Account>> {
        self.locked().get(name).cloned()
    }

    pub(super) fn accounts(&self) -> Vec<Arc<Account>> {
        self.locked().values().cloned().collect()
    }

    /// Forgets the callers that have gone, once nothing of theirs is left. Of those with something left, as during an
    /// outage, it keeps some: the leases of the others expire, and their charges count as lost.
    pub(super) fn forget(&self) {
        let mut room = MOST_UNSETTLED;
        self.locked().retain(|name, account| {
            if Arc::strong_count(account) > 1 {
                return true;
            }
            let stays = !account.is_settled() && room > 0;
            if stays {
                room -= 1;
            } else {
                self.shared.families.lost(u64::try_from(account.take_charges()).unwrap_or(0));
                self.shared.cap(name, None);
            }
            stays
        });
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{account::SharedEntry, config::Server, policy::Rate};

    const RATE: Rate = Rate { count: 100, per: 60_000_000, burst: 100 };

    fn store(registry: &Registry) -> Arc<Store> {
        Store::register(registry, &Config::new(Server::Unix("nowhere".into())), |_, _| 0).unwrap()
    }

    /// A caller that made one request of so many tokens, and has gone.
    fn ask_once(store: &Store, name: &str, shares: Shares, tokens: u64) {
        let entry = SharedEntry::new(store.account(name, shares, None), true);
        entry.charge(tokens);
    }

    #[tokio::test]
    async fn caller_that_has_gone_is_forgotten_though_its_tokens_have_no_limit() {
        let store = store(&Registry::new());
        let shares = Shares { requests: Some(RATE), ..Shares::default() };
        ask_once(&store, "key/user", shares, 100);
        store.forget();
        assert!(store.known("key/user").is_none());
    }

    #[tokio::test]
    async fn callers_that_have_gone_during_an_outage_are_bounded_and_their_charges_count_as_lost() {
        let registry = Registry::new();
        let store = store(&registry);
        let shares = Shares { tokens: Some(RATE), ..Shares::default() };
        let stays = store.account("stays", shares, None);
        for user in 0..MOST_UNSETTLED + 10 {
            ask_once(&store, &format!("key/{user}"), shares, 8);
        }
        store.forget();
        assert_eq!(store.accounts().len(), MOST_UNSETTLED + 1);
        assert!(store.known(&stays.name).is_some(), "its caller is here");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("shared_charges_lost_total 70\n"), "{text}");
    }
}
