//! The types of shared limits for a program without them. They have no values.

use std::sync::Arc;

use super::{
    policy::{OnFailure, Shares},
    verdict::{Rest, SharedStatus, StoreVerdict},
};

/// Settings of shared limits. They need the feature `shared`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {}

/// The store of shared limits.
#[derive(Debug)]
pub(crate) enum Store {}

/// The shared limits of a caller.
#[derive(Debug)]
pub(crate) enum Account {}

/// One admitted request of a caller with shared limits.
#[derive(Debug)]
pub(crate) enum SharedEntry {}

impl Store {
    pub(crate) fn register(
        _: &prometheus::Registry,
        config: &Config,
        _: impl Fn(&str, Option<usize>) -> usize,
    ) -> prometheus::Result<Arc<Store>> {
        match *config {}
    }

    pub(crate) fn account(&self, _: &str, _: Shares, _: Option<OnFailure>) -> Arc<Account> {
        match *self {}
    }

    pub(crate) fn status(&self) -> SharedStatus {
        match *self {}
    }

    pub(crate) fn missing_keys(&self) -> Option<String> {
        match *self {}
    }

    pub(crate) async fn run(self: Arc<Self>) {
        match *self {}
    }
}

impl Account {
    pub(crate) async fn take(self: &Arc<Self>, _: bool) -> SharedVerdict {
        match **self {}
    }

    pub(crate) fn rests(&self) -> [Option<Rest>; 2] {
        match *self {}
    }
}

impl SharedEntry {
    pub(crate) fn charge(&self, _: u64) {
        match *self {}
    }
}

/// The decision about a request.
pub(crate) type SharedVerdict = StoreVerdict<SharedEntry>;
