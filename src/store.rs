//! The limits that several sidecars share, in a Redis or a Valkey.
//!
//! One call takes a request from its caller's rates and takes a lease of the caller's `max_streams`, by the store's
//! clock. Tokens are charged after the fact, in batches. While the store does not answer, [`OnFailure`] decides. Nothing
//! here is on the path of a chunk.

#[cfg(not(feature = "shared"))]
mod absent;
#[cfg(feature = "shared")]
mod account;
#[cfg(feature = "shared")]
mod asking;
#[cfg(feature = "shared")]
mod chance;
#[cfg(feature = "shared")]
mod config;
#[cfg(feature = "shared")]
mod core;
#[cfg(feature = "shared")]
mod failure;
#[cfg(feature = "shared")]
mod families;
#[cfg(feature = "shared")]
mod health;
#[cfg(feature = "shared")]
mod keys;
#[cfg(feature = "shared")]
mod ledger;
#[cfg(feature = "shared")]
mod line;
#[cfg(feature = "shared")]
mod link;
#[cfg(feature = "shared")]
mod place;
mod policy;
#[cfg(feature = "shared")]
mod pool;
#[cfg(feature = "shared")]
mod rate;
#[cfg(feature = "shared")]
mod script;
mod verdict;
#[cfg(feature = "shared")]
mod worker;

#[cfg(not(feature = "shared"))]
pub use absent::Config;
#[cfg(not(feature = "shared"))]
pub(crate) use absent::{Account, SharedEntry, SharedVerdict, Store};
#[cfg(feature = "shared")]
pub(crate) use account::{Account, SharedEntry, SharedVerdict};
#[cfg(feature = "shared")]
pub use config::{Config, Secret, Server};
#[cfg(feature = "cli")]
pub(crate) use keys::{StoredKeys, StoredText};
#[cfg(feature = "shared")]
pub(crate) use ledger::Store;
pub use policy::OnFailure;
pub(crate) use policy::{Rate, Shares};
pub(crate) use verdict::{DeniedBy, Rest, SharedStatus};
