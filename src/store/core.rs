//! The part of the store that its worker and the accounts share.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use redis::Cmd;
use tokio::{sync::Notify, time::Instant};

use super::{
    config::Config,
    failure::StoreFailure,
    families::Families,
    health::StoreHealth,
    keys::KeysSlot,
    link::StoreLink,
    script::{Names, Script},
};

/// Limits the streams of a caller that run here, and returns how many run.
pub(super) type Cap = Box<dyn Fn(&str, Option<usize>) -> usize + Send + Sync>;

pub(super) struct StoreCore {
    pub(super) config: Config,
    pub(super) names: Names,
    pub(super) health: StoreHealth,
    pub(super) families: Families,
    pub(super) keys: KeysSlot,
    /// Asks the worker to settle now.
    pub(super) hurry: Notify,
    link: RwLock<Option<Arc<StoreLink>>>,
    cap: Cap,
}

impl fmt::Debug for StoreCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCore").field("health", &self.health).finish_non_exhaustive()
    }
}

impl StoreCore {
    pub(super) fn new(config: Config, names: Names, families: Families, cap: Cap) -> StoreCore {
        StoreCore {
            health: StoreHealth::new(config.on_failure),
            keys: KeysSlot::new(names.keys()),
            config,
            names,
            families,
            hurry: Notify::new(),
            link: RwLock::default(),
            cap,
        }
    }

    pub(super) fn cap(&self, caller: &str, most: Option<usize>) -> usize {
        (self.cap)(caller, most)
    }

    pub(super) fn connect(&self, link: Option<Arc<StoreLink>>) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// Brings the gauges up to date.
    pub(super) fn show(&self) {
        self.families.show(&self.health.status());
    }

    /// Waits until the server closes the connection.
    pub(super) async fn closed(&self) -> StoreFailure {
        match self.link() {
            Some(link) => link.closed().await,
            None => StoreFailure::Starting,
        }
    }

    fn link(&self) -> Option<Arc<StoreLink>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a script.
    pub(super) async fn call(
        &self,
        script: Script,
        limit: Duration,
        write: impl Fn(&mut Cmd),
    ) -> Result<redis::Value, StoreFailure> {
        let link = self.link().ok_or(StoreFailure::Starting)?;
        let began = Instant::now();
        let called = link.call(script, limit, write).await;
        let took = began.elapsed();
        self.families.called(script, took.as_secs_f64());
        // A call that had more time than a request does not show that the store answers requests in time.
        if called.is_ok() && took <= self.config.deadline {
            self.health.answered();
        }
        called
    }

    /// Counts a call that failed. If the store has failed, requests are decided without it from now on.
    pub(super) fn failed(&self, why: StoreFailure) {
        self.families.failed(&why);
        if !why.is_of_caller() {
            self.health.fail(why);
        }
    }

    /// The failure of a call whose answer is not one of our scripts.
    pub(super) fn garbled(&self) -> StoreFailure {
        let server = self.link().map(|link| link.place.server());
        let why = "the answer of a script cannot be read".to_owned();
        StoreFailure::Protocol { server: server.unwrap_or_default(), why }
    }
}
