//! Why the sidecar has no place to listen, and what to do about it.

use anyhow::{Error, anyhow};

use crate::sidecar::BindError;

/// Says which address failed and who set it: `proxy` and `admin` are the names that a user knows them by.
pub(super) fn explain(error: BindError, proxy: &str, admin: &str) -> Error {
    let setting = match error {
        BindError::Proxy { .. } => proxy,
        BindError::Admin { .. } => admin,
        other => return other.into(),
    };
    anyhow!("{:#}\n       free it, or choose another with {setting}", Error::from(error))
}
