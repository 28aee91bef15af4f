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

    /// What decides now.
    pub(crate) fn status(&self) -> SharedStatus {
        self.shared.health.status()
    }

    pub(super) fn known(&self, name: &str) -> Option<Arc<Account>> {
        self.locked().get(name).cloned()
    }

    pub(super) fn accounts(&self) -> Vec<Arc<Account>> {
        self.locked().values().cloned().collect()
    }

    /// Forgets the callers that a reload removed, once nothing of theirs is left.
    pub(super) fn forget(&self) {
        self.locked().retain(|name, account| {
            let stays = Arc::strong_count(account) > 1 || !account.is_settled();
            if !stays {
                self.shared.cap(name, None);
            }
            stays
        });
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
