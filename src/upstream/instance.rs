//! Identifies the sidecar that sent a probe, so that a sidecar detects an upstream address that leads back to
//! itself.

use std::{
    hash::{BuildHasher, RandomState},
    process,
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header field of a probe that names the sidecar which sent it. Other sidecars forward the field, so that a
/// loop through them is detected too.
const FIELD: HeaderName = HeaderName::from_static("x-streamgauge-instance");

/// The identity of one sidecar, chosen at random at its start.
#[derive(Clone, Debug)]
pub(super) struct Instance(HeaderValue);

impl Default for Instance {
    fn default() -> Instance {
        // The system seeds a RandomState once per thread, and each further one differs. 64 bits are enough to
        // distinguish the sidecars of one network.
        let id = RandomState::new().hash_one(process::id());
        Instance(HeaderValue::try_from(format!("{id:016x}")).expect("hexadecimal digits"))
    }
}

impl Instance {
    /// The header fields of every probe.
    pub(super) fn fields(&self) -> HeaderMap {
        HeaderMap::from_iter([(FIELD, self.0.clone())])
    }

    /// Whether the request is a probe of this sidecar.
    pub(super) fn sent(&self, fields: &HeaderMap) -> bool {
        fields.get(FIELD).is_some_and(|instance| *instance == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecar_knows_its_own_probes_and_no_others() {
        let (ours, theirs) = (Instance::default(), Instance::default());
        assert!(ours.sent(&ours.fields()));
        assert!(!ours.sent(&theirs.fields()));
        assert!(!ours.sent(&HeaderMap::new()));
    }
}
