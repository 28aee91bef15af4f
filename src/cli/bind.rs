//! Explains why the sidecar cannot listen, and what to do.

use anyhow::{Error, anyhow};

use crate::sidecar::BindError;

/// Adds the advice to an error. `proxy` and `admin` are the names of the settings that choose the address.
pub(super) fn explain(error: BindError, proxy: &str, admin: &str) -> Error {
    let setting = match error {
        BindError::Proxy { .. } => proxy,
        BindError::Admin { .. } => admin,
        other => return other.into(),
    };
    anyhow!("{:#}\n       free the address, or choose another one with {setting}", Error::from(error))
}
